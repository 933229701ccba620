package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// How long to wait after the watch broke, or content could not be fetched.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// seenPause is how much of the store's progress a host may forget that had no orders meanwhile
// and lost its power: a backup is usually older, and the disk has rest.
const seenPause = 10 * time.Minute

// errContent says that a view is followed although content that it names is missing.
var errContent = errors.New("unit files could not be fetched")

// keeper follows the orders for this host, judges the store they come from, fetches
// the content they name, and puts both on disk before anybody acts on them.
type keeper struct {
	views Views
	host  cluster.HostID
	boot  string
	disk  viewDisk
	link  *link
	limit time.Duration // of one call to the store
	log   *slog.Logger
	tell  func() // something below changed

	kick bell // a view waits, or a read was asked for

	taking turn // held while a view is judged, completed and saved

	mu      sync.Mutex
	next    *cluster.View // newest that the watch told
	mem     Memory
	saved   time.Time // when mem was put on disk
	held    bool      // mem holds a view
	taken   bool      // it is not the one that was on disk
	ready   map[units.Hash]bool
	missing int
	frozen  string
	asked   int64 // fresh reads asked for
	read    int64 // newest of them that was done
}

// orders are what the keeper holds.
type orders struct {
	view    cluster.View
	held    bool
	taken   bool   // this process has read the view: the one on disk has no grant
	boot    string // the boot in which the view was read
	frozen  string
	read    int64
	missing int
}

func newKeeper(views Views, host cluster.HostID, boot, dir string, limit time.Duration, l *link, log *slog.Logger, tell func()) (*keeper, error) {
	k := &keeper{
		views: views, host: host, boot: boot, disk: viewDisk{dir}, link: l, limit: limit, log: log, tell: tell,
		kick: newBell(), taking: newTurn(), ready: map[units.Hash]bool{},
	}
	mem, err := k.disk.load()
	if mem.View.Store.ID == "" {
		return k, err
	}
	k.mem, k.held, k.frozen = mem, true, mem.Frozen
	for h := range named(mem.View) {
		if _, ok := k.disk.content(h); ok {
			k.ready[h] = true
		} else {
			k.missing++
		}
	}
	views.Pin(mem.View.Store)
	return k, err
}

// named is the content that a view needs; tombstones need none.
func named(v cluster.View) map[units.Hash]bool {
	out := map[units.Hash]bool{}
	for _, p := range v.Place {
		if p.State != cluster.Gone {
			out[p.Blob] = true
			if p.DropIns != "" {
				out[p.DropIns] = true
			}
		}
	}
	return out
}

// orders is what may be obeyed now.
func (k *keeper) orders() orders {
	k.mu.Lock()
	defer k.mu.Unlock()
	return orders{view: k.mem.View, held: k.held, taken: k.taken, boot: k.mem.Boot, frozen: k.frozen, read: k.read, missing: k.missing}
}

// fenced reports whether fenced units are ordered here, as far as is known: an order that
// cannot be read may be one.
func (k *keeper) fenced() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.mem.View.Place {
		if p.Fence {
			return true
		}
	}
	return len(k.mem.View.Bad) > 0
}

// isReady reports whether a unit file's bytes are at hand.
func (k *keeper) isReady(h units.Hash) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ready[h]
}

// content is a unit file's bytes.
func (k *keeper) content(h units.Hash) ([]byte, error) {
	raw, ok := k.disk.content(h)
	if ok {
		return raw, nil
	}
	k.mu.Lock()
	was := k.ready[h]
	delete(k.ready, h)
	k.mu.Unlock()
	if was {
		k.kick.ring()
	}
	return nil, fmt.Errorf("content %s is not at hand on this host", h.Short())
}

// dropIns are the drop-ins that a bundle holds; "" holds none. One that is not written as this flotilla writes
// it is refused: what is on disk could never be compared with it.
func (k *keeper) dropIns(h units.Hash) (units.DropIns, error) {
	if h == "" {
		return nil, nil
	}
	raw, err := k.content(h)
	if err != nil {
		return nil, err
	}
	d, err := units.ParseDropIns(raw)
	if err == nil && bundleOf(d) != h {
		err = errors.New("they are not in the form in which this version of flotilla writes them")
	}
	if err != nil {
		return nil, fmt.Errorf("drop-ins %s: %w", h.Short(), err)
	}
	return d, nil
}

// ask wants a fresh, linearizable read; orders().read reaches the returned number
// when one that began later was done.
func (k *keeper) ask() int64 {
	k.mu.Lock()
	k.asked++
	n := k.asked
	k.mu.Unlock()
	k.kick.ring()
	return n
}

// follow keeps a watch on the orders until ctx ends.
func (k *keeper) follow(ctx context.Context) error {
	wait := firstRetry
	for {
		err := k.views.FollowView(ctx, k.host, func(v cluster.View) {
			wait = firstRetry
			k.link.up()
			if v.Seen != 0 {
				k.saw(v)
				return
			}
			k.mu.Lock()
			k.next = &v
			k.mu.Unlock()
			k.kick.ring()
		})
		if ctx.Err() != nil {
			return nil
		}
		k.link.down()
		k.ask() // the store may be another one now
		k.log.Warn("cannot follow the orders, trying again", "err", err, "after", wait)
		if !sleep(ctx, wait+rand.N(wait)) {
			return nil
		}
		wait = min(2*wait, lastRetry)
	}
}

// run takes in what follow and ask want until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	wait := firstRetry
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.kick:
		case <-retry.C:
		}
		if k.step(ctx) {
			wait = firstRetry
			continue
		}
		retry.Reset(wait + rand.N(wait))
		wait = min(2*wait, lastRetry)
	}
}

// step takes in the newest view. It says whether nothing is left to do.
func (k *keeper) step(ctx context.Context) bool {
	if k.taking.lock(ctx) != nil {
		return true
	}
	defer k.taking.unlock()
	k.mu.Lock()
	next := k.next
	k.next = nil
	if next != nil && k.mem.Judge(*next) != "" || k.held && k.missingNow() > 0 {
		k.asked++ // a suspicion rests on a fresh read, and so does a new try
	}
	asked, fresh := k.asked, k.asked > k.read || k.frozen != ""
	k.mu.Unlock()
	switch {
	case fresh:
		frozen, err := k.fresh(ctx, asked)
		return err == nil && frozen == ""
	case next != nil:
		return k.take(ctx, *next) == nil
	}
	k.keepSeen()
	return true
}

// saw notes how far the store has come. It does so while nothing is ordered here, too: a
// store that goes back behind that is noticed.
func (k *keeper) saw(v cluster.View) {
	k.mu.Lock()
	k.mem = k.mem.Saw(v)
	due := time.Since(k.saved) >= seenPause
	k.mu.Unlock()
	if due {
		k.kick.ring()
	}
}

// keepSeen saves how far the store has come, now and then. taking is held.
func (k *keeper) keepSeen() {
	k.mu.Lock()
	mem, due := k.mem, k.held && time.Since(k.saved) >= seenPause
	if due {
		k.saved = time.Now()
	}
	k.mu.Unlock()
	if !due {
		return
	}
	if err := k.disk.save(mem, nil); err != nil {
		k.log.Warn("cannot keep on disk how far the store has come", "err", err)
	}
}

// missingNow counts the content that is named and not at hand. mu is held.
func (k *keeper) missingNow() int {
	n := 0
	for h := range named(k.mem.View) {
		if !k.ready[h] {
			n++
		}
	}
	k.missing = n
	return n
}

// check reads the store now and says why it must not be followed ("" = it may). Content
// that cannot be had is no reason.
func (k *keeper) check(ctx context.Context) (frozen string, err error) {
	if err := k.taking.lock(ctx); err != nil {
		return "", err
	}
	defer k.taking.unlock()
	k.mu.Lock()
	asked := k.asked
	k.mu.Unlock()
	frozen, err = k.fresh(ctx, asked)
	if errors.Is(err, errContent) {
		k.kick.ring()
		err = nil
	}
	return frozen, err
}

// fresh reads the orders, judges them and takes them in. taking is held.
func (k *keeper) fresh(ctx context.Context, asked int64) (frozen string, err error) {
	limited, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	k.mu.Lock()
	known := k.mem // what the watch sees while the answer is on its way does not count against it
	k.mu.Unlock()
	v, err := k.views.View(limited, k.host)
	if errors.Is(err, cluster.ErrNoStore) { // a store, though not ours, and not the absence of one
		v, err = cluster.View{Host: k.host}, nil
	}
	if err != nil {
		if ctx.Err() == nil {
			k.link.down()
		}
		return "", fmt.Errorf("read the orders: %w", err)
	}
	k.link.up()
	k.mu.Lock()
	why := known.Judge(v)
	was := k.frozen
	k.frozen, k.read = why, max(k.read, asked)
	k.mu.Unlock()
	if why != "" {
		if was != why {
			k.log.Error(why, "store", v.Store.ID, "revision", v.Revision)
		}
		k.freeze(v, why)
		k.tell()
		return why, nil
	}
	return "", k.take(ctx, v)
}

// freeze keeps on disk why the store must not be followed, where time alone would hide
// it. taking is held.
func (k *keeper) freeze(v cluster.View, why string) {
	k.mu.Lock()
	next := k.mem.Freeze(v, why)
	same := next.Frozen == k.mem.Frozen
	k.mem = next
	k.mu.Unlock()
	if same {
		return
	}
	if err := k.disk.save(next, nil); err != nil {
		k.log.Error("cannot keep on disk that the store must not be followed: a restart of the agent may forget it", "err", err)
	}
}

// take completes a judged view, saves it and lets it be obeyed. What content cannot be
// had is fetched later; tombstones do not wait for it. taking is held.
func (k *keeper) take(ctx context.Context, v cluster.View) error {
	fetched, fetchErr := k.fetch(ctx, v)
	k.mu.Lock()
	next := k.mem.Step(v, k.boot)
	k.mu.Unlock()
	if err := k.disk.save(next, fetched); err != nil {
		k.log.Error("cannot keep the orders on disk, so they are not obeyed", "err", err)
		k.mu.Lock()
		k.asked++
		k.mu.Unlock()
		return err
	}
	k.views.Pin(v.Store)
	k.mu.Lock()
	// What the watch saw of the store's progress while the disk was busy counts, too.
	k.mem, k.held, k.taken, k.saved = k.mem.Step(v, k.boot), true, true, time.Now()
	ready := map[units.Hash]bool{}
	for h := range named(v) {
		if k.ready[h] || fetched[h] != nil {
			ready[h] = true
		}
	}
	k.ready = ready
	k.missingNow()
	k.mu.Unlock()
	if err := k.disk.sweep(next); err != nil {
		k.log.Warn("cannot tidy kept content", "err", err)
	}
	k.tell()
	if fetchErr != nil {
		return fmt.Errorf("%w: %w", errContent, fetchErr)
	}
	return nil
}

// fetch gets the content of a view that is not at hand.
func (k *keeper) fetch(ctx context.Context, v cluster.View) (map[units.Hash][]byte, error) {
	var want []units.Hash
	got := map[units.Hash][]byte{}
	for h := range named(v) {
		if k.isReady(h) {
			continue
		}
		if raw, ok := k.disk.content(h); ok {
			got[h] = raw
			continue
		}
		want = append(want, h)
	}
	if len(want) == 0 {
		return got, nil
	}
	limited, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	blobs, err := k.views.Blobs(limited, want)
	if err != nil && len(want) > 1 {
		blobs = k.oneByOne(limited, want) // one that is missing shall not hold back the others
	}
	for _, h := range want {
		raw, ok := blobs[h]
		switch {
		case ok && units.HashOf(raw) == h:
			got[h] = raw
		case err == nil:
			err = fmt.Errorf("content %s is not in the store", h.Short())
		}
	}
	if err != nil && ctx.Err() == nil {
		k.log.Warn("cannot fetch unit files, trying again", "err", err)
	}
	return got, err
}

func (k *keeper) oneByOne(ctx context.Context, want []units.Hash) map[units.Hash][]byte {
	got := map[units.Hash][]byte{}
	for _, h := range want {
		one, err := k.views.Blobs(ctx, []units.Hash{h})
		if err == nil {
			got[h] = one[h]
		}
		if ctx.Err() != nil {
			break
		}
	}
	return got
}
