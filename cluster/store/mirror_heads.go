package store

import (
	"fmt"
	"maps"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// blobCache holds the contents that heads name, parsed once for all units with the same
// content.
type blobCache struct {
	known map[units.Hash]*content
	idle  map[units.Hash]bool // perhaps without a use; swept after each batch

	waiting map[units.Hash]map[cluster.Unit]bool // heads whose content is not there
}

type content struct {
	raw  []byte
	file *units.File // nil when it does not parse, or is a bundle of drop-ins
	uses int         // heads that name it
}

func newBlobCache() *blobCache {
	return &blobCache{known: map[units.Hash]*content{}, idle: map[units.Hash]bool{}, waiting: map[units.Hash]map[cluster.Unit]bool{}}
}

func (c *blobCache) has(h units.Hash) bool { return c.known[h] != nil }

// reset is a cache with the same contents and no uses, for a new load.
func (c *blobCache) reset() *blobCache {
	out := newBlobCache()
	for h, b := range c.known {
		out.known[h] = &content{raw: b.raw, file: b.file}
		out.idle[h] = true
	}
	return out
}

// use counts a head that names h, and returns the content if it is at hand.
func (c *blobCache) use(h units.Hash, name cluster.Unit, fetched map[units.Hash][]byte) *content {
	b := c.known[h]
	if b == nil {
		raw, ok := fetched[h]
		if !ok {
			return nil
		}
		b = &content{raw: raw}
		if f, err := units.Parse(name, raw); err == nil {
			b.file = f
		}
		c.known[h] = b
	}
	b.uses++
	return b
}

// release takes a use back.
func (c *blobCache) release(h units.Hash) {
	if b := c.known[h]; b != nil {
		b.uses--
		c.idle[h] = true
	}
}

// await notes that a head waits for its content.
func (c *blobCache) await(h units.Hash, name cluster.Unit) {
	if c.waiting[h] == nil {
		c.waiting[h] = map[cluster.Unit]bool{}
	}
	c.waiting[h][name] = true
}

// forget takes that back.
func (c *blobCache) forget(h units.Hash, name cluster.Unit) {
	if delete(c.waiting[h], name); len(c.waiting[h]) == 0 {
		delete(c.waiting, h)
	}
}

// sweep forgets contents that no head names any more.
func (c *blobCache) sweep() {
	for h := range c.idle {
		if b := c.known[h]; b != nil && b.uses <= 0 {
			delete(c.known, h)
		}
	}
	clear(c.idle)
}

// putHead records a head with its parsed content.
func (d *decoder) putHead(name cluster.Unit, kv KeyValue, fetched map[units.Hash][]byte) error {
	old := d.snap.Units[name]
	if old != nil {
		d.stopWaiting(old)
	}
	spec, err := decode[cluster.UnitSpec](kv)
	u := &cluster.UnitHead{Name: name, Spec: spec, Rev: kv.ModRev}
	switch {
	case err != nil:
		u.Bad = err.Error()
	case old != nil && old.File != nil && old.Spec.Blob == spec.Blob && old.Spec.DropIns == spec.DropIns:
		// Same content under the same name: nothing to parse, the use stays counted.
		u.File, u.Req = old.File, old.Req
		old = nil
	default:
		d.parse(u, fetched)
	}
	if old != nil && old.File != nil {
		d.release(old)
	}
	d.snap.SetUnit(u)
	d.judge(u)
	return err
}

// parse gives a head its content. A head with a File counts as a use of all that it names.
func (d *decoder) parse(u *cluster.UnitHead, fetched map[units.Hash][]byte) {
	file, bundle := d.take(u, u.Spec.Blob, fetched), d.take(u, u.Spec.DropIns, fetched)
	if u.Bad != "" {
		d.release(u)
		return
	}
	whole, err := file.of(u.Name)
	if err == nil && bundle != nil {
		whole, err = bundle.join(whole)
	}
	if err == nil {
		u.Req, err = whole.Requirements()
	}
	if err != nil {
		u.Bad = err.Error()
		d.release(u)
		return
	}
	u.File = whole
}

// take uses a content that the head names, "" for none. One that is not there makes the head Bad.
func (d *decoder) take(u *cluster.UnitHead, h units.Hash, fetched map[units.Hash][]byte) *content {
	if h == "" && u.Spec.Blob != "" {
		return nil
	}
	b := d.blobs.use(h, u.Name, fetched)
	if b == nil {
		d.blobs.await(h, u.Name)
		u.Bad = fmt.Sprintf("content %s is missing or damaged in the store", h.Short())
	}
	return b
}

// release takes the uses of a head back.
func (d *decoder) release(u *cluster.UnitHead) {
	d.blobs.release(u.Spec.Blob)
	d.blobs.release(u.Spec.DropIns)
}

// stopWaiting forgets what a head waits for.
func (d *decoder) stopWaiting(u *cluster.UnitHead) {
	d.blobs.forget(u.Spec.Blob, u.Name)
	d.blobs.forget(u.Spec.DropIns, u.Name)
}

// of is the content as the file of a unit. Units with the same content share what was parsed; the
// name is the only thing in which they differ.
func (c *content) of(name cluster.Unit) (*units.File, error) {
	switch {
	case c.file == nil:
		return units.Parse(name, c.raw)
	case c.file.Name == name:
		return c.file, nil
	}
	shared := *c.file
	shared.Name = name
	return &shared, nil
}

// join is a unit file together with the drop-ins that the content holds.
func (c *content) join(f *units.File) (*units.File, error) {
	d, err := units.ParseDropIns(c.raw)
	if err != nil {
		return nil, err
	}
	return f.With(d)
}

func (d *decoder) dropHead(name cluster.Unit) {
	if u := d.snap.Units[name]; u != nil {
		d.stopWaiting(u)
		if u.File != nil {
			d.release(u)
		}
	}
	d.snap.DeleteUnit(name)
}

// judge makes a head Bad while one of its unit's keys cannot be decoded.
func (d *decoder) judge(u *cluster.UnitHead) {
	if u.Bad != "" {
		return
	}
	if keys := d.of[u.Name]; len(keys) > 0 {
		u.Bad = d.broken[slices.Min(slices.Collect(maps.Keys(keys)))].err.Error()
	}
}

// rehead judges a unit's head anew after one of its keys broke or was mended.
func (d *decoder) rehead(name cluster.Unit) {
	old := d.snap.Units[name]
	if old == nil || old.File == nil {
		return // its own reason stands
	}
	u := *old
	u.Bad = ""
	d.judge(&u)
	d.snap.SetUnit(&u)
}

// arrived gives a content to heads that were read before it. That is never so with heads
// that flotilla wrote; it mends what a person restored by hand.
func (d *decoder) arrived(h units.Hash, raw []byte) {
	if raw == nil || d.blobs.has(h) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(d.blobs.waiting[h])) {
		d.blobs.forget(h, name)
		old := d.snap.Units[name]
		u := &cluster.UnitHead{Name: name, Spec: old.Spec, Rev: old.Rev}
		d.parse(u, map[units.Hash][]byte{h: raw})
		d.snap.SetUnit(u)
		d.judge(u)
	}
}
