package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Images are the container images of this host. PullImage waits for a pull of the same image that
// is under way, and leaves its own to go on when ctx ends.
type Images interface {
	HasImage(ctx context.Context, runtime, ref string) (bool, error)
	PullImage(ctx context.Context, runtime, ref string) error
}

// A pull that failed is tried again after firstPull, then after twice as long each time.
const (
	firstPull = time.Second
	lastPull  = time.Minute
)

// fetches are the images that units wait for: each is looked for once, and pulled if it is missing, in
// a goroutine of its own. Nothing is kept of an image for which nobody waits, so that each start
// looks anew.
type fetches struct {
	door    Images
	log     *slog.Logger
	metrics *metrics
	tell    func()
	running *sync.WaitGroup

	mu sync.Mutex
	of map[Image]*fetch
}

// fetch is what is known of one image.
type fetch struct {
	there   bool
	flying  bool
	pulling time.Time // since when; zero while it is looked for
	due     time.Time // of the next try
	wait    time.Duration
	why     string // what went wrong last
}

// there are the images that were found or fetched and are still waited for.
func (f *fetches) there() map[Image]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[Image]bool{}
	for image, one := range f.of {
		if one.there {
			out[image] = true
		}
	}
	return out
}

// keep forgets the images for which nobody waits. A pull that is under way goes on.
func (f *fetches) keep(wanted map[Image]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for image, one := range f.of {
		if !wanted[image] && !one.flying {
			delete(f.of, image)
		}
	}
}

// begin looks for an image and pulls it if it is missing, unless that is under way, done or
// not due yet.
func (f *fetches) begin(ctx context.Context, image Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.of[image]
	if one == nil {
		one = &fetch{wait: firstPull}
		f.of[image] = one
	}
	if one.there || one.flying || time.Now().Before(one.due) {
		return
	}
	one.flying, one.pulling = true, time.Time{}
	f.running.Go(func() { f.land(ctx, image, f.fetch(ctx, image)) })
}

// fetch is one try.
func (f *fetches) fetch(ctx context.Context, image Image) error {
	has, err := f.door.HasImage(ctx, image.Runtime, image.Ref)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", image.Ref, err)
	}
	if has {
		return nil
	}
	f.mu.Lock()
	f.of[image].pulling = time.Now()
	f.mu.Unlock()
	f.tell()
	f.metrics.actions.WithLabelValues(Pull.String()).Inc()
	f.log.Info("pull", "image", image.Ref, "runtime", image.Runtime)
	if err := f.door.PullImage(ctx, image.Runtime, image.Ref); err != nil {
		return fmt.Errorf("pulling %s: %w", image.Ref, err)
	}
	f.log.Info("pulled", "image", image.Ref, "runtime", image.Runtime)
	return nil
}

// land takes in the end of a try.
func (f *fetches) land(ctx context.Context, image Image, err error) {
	if ctx.Err() != nil {
		return // the pull, if there is one, goes on: the next agent joins it
	}
	f.mu.Lock()
	one := f.of[image]
	one.flying, one.there, one.why = false, err == nil, ""
	if err != nil {
		one.why, one.due = err.Error(), time.Now().Add(one.wait)
		one.wait = min(2*one.wait, lastPull)
	}
	f.mu.Unlock()
	if err != nil {
		f.metrics.failures.WithLabelValues(Pull.String()).Inc()
		f.log.Warn("cannot pull, trying again", "image", image.Ref, "runtime", image.Runtime, "err", err)
	}
	f.tell()
}

// why says what a unit waits for that needs these images; "" = for none of them.
func (f *fetches) why(images []Image, now time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, image := range images {
		one := f.of[image]
		if one == nil || one.there {
			continue
		}
		long := one.since(now)
		switch {
		case one.why != "" && long == 0:
			return one.why
		case one.why != "":
			return fmt.Sprintf("pulling %s for %s, again after: %s", image.Ref, spoken(long), strings.TrimPrefix(one.why, "pulling "+image.Ref+": "))
		case one.pulling.IsZero():
			return "looking for the image " + image.Ref
		case long == 0:
			return "pulling " + image.Ref
		}
		return fmt.Sprintf("pulling %s for %s", image.Ref, spoken(long))
	}
	return ""
}

// since is how long a pull has been under way, in steps: each is a write to the store.
func (f *fetch) since(now time.Time) time.Duration {
	if !f.flying || f.pulling.IsZero() {
		return 0
	}
	d := now.Sub(f.pulling)
	return d.Truncate(step(d))
}

func step(d time.Duration) time.Duration {
	switch {
	case d < time.Minute:
		return 4 * time.Second
	case d < 10*time.Minute:
		return 30 * time.Second
	}
	return 5 * time.Minute
}

// spoken is a duration without zeros at its end.
func spoken(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// next is how long until a try is due, or why has something new to say, and at most most. A try
// that was due before the pass that ended is one that nobody waits for now.
func (f *fetches) next(passed, now time.Time, most time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.of {
		switch {
		case one.flying && !one.pulling.IsZero():
			d := now.Sub(one.pulling)
			most = min(most, one.since(now)+step(d)-d)
		case !one.flying && one.due.After(passed):
			most = min(most, one.due.Sub(now))
		}
	}
	return most
}

// fetch carries out Pull.
func (a *Agent) fetch(ctx context.Context, want Want, actions []Action) error {
	wanted := map[Image]bool{}
	clear(a.awaits)
	for _, x := range actions {
		a.awaits[x.Unit] = want.Units[x.Unit].Images
		for _, image := range a.awaits[x.Unit] {
			wanted[image] = true
		}
	}
	a.images.keep(wanted)
	for _, x := range actions {
		for _, image := range a.awaits[x.Unit] {
			if err := a.step(Pull.String()); err != nil {
				return err
			}
			a.images.begin(ctx, image)
		}
	}
	return nil
}

// need is what a unit's content asks for, kept because each pass wants to know.
type need struct {
	blob, dropIns units.Hash
	images        []Image
}

// needs are the images of a unit, by its file and the user's drop-ins. Content that cannot be read asks
// for none: the unit then pulls them itself.
func (a *Agent) needs(name cluster.Unit, p cluster.Placement) []Image {
	if known, ok := a.needed[name]; ok && known.blob == p.Blob && known.dropIns == p.DropIns {
		return known.images
	}
	n := need{blob: p.Blob, dropIns: p.DropIns}
	raw, err := a.keeper.content(p.Blob)
	if err != nil {
		return nil // asked again at the next pass
	}
	var bundle []byte
	if p.DropIns != "" {
		if bundle, err = a.keeper.content(p.DropIns); err != nil {
			return nil
		}
	}
	n.images = imagesOf(name, raw, bundle)
	a.needed[name] = n
	return n.images
}

func imagesOf(name cluster.Unit, raw, bundle []byte) (out []Image) {
	f, err := units.Parse(name, raw)
	var d units.DropIns
	if err == nil && bundle != nil {
		d, err = units.ParseDropIns(bundle)
	}
	if err != nil {
		return nil
	}
	r, err := f.RequirementsWith(d)
	if err != nil {
		return nil
	}
	for _, ref := range r.Images {
		out = append(out, Image{r.Runtime, ref})
	}
	return out
}
