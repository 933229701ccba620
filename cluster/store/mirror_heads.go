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
	file *units.File // nil when it does not parse
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
		d.blobs.forget(old.Spec.Blob, name)
	}
	spec, err := decode[cluster.UnitSpec](kv)
	u := &cluster.UnitHead{Name: name, Spec: spec, Rev: kv.ModRev}
	switch {
	case err != nil:
		u.Bad = err.Error()
	case old != nil && old.File != nil && old.Spec.Blob == spec.Blob:
		// Same content under the same name: nothing to parse, the use stays counted.
		u.File, u.Req = old.File, old.Req
		old = nil
	default:
		d.parse(u, d.blobs.use(spec.Blob, name, fetched))
	}
	if old != nil && old.File != nil {
		d.blobs.release(old.Spec.Blob)
	}
	d.snap.SetUnit(u)
	d.judge(u)
	return err
}

// parse gives a head its content. It shares the parsed file of another unit with the
// same content; the name is the only thing in which the two differ.
func (d *decoder) parse(u *cluster.UnitHead, b *content) {
	if b == nil {
		d.blobs.await(u.Spec.Blob, u.Name)
		u.Bad = fmt.Sprintf("content %s is missing or damaged in the store", u.Spec.Blob.Short())
		return
	}
	file := b.file
	var err error
	switch {
	case file == nil:
		_, err = units.Parse(u.Name, b.raw)
	case file.Name != u.Name:
		shared := *file
		shared.Name = u.Name
		file = &shared
	}
	if err == nil && file != nil {
		u.Req, err = file.Requirements()
	}
	if err != nil {
		u.Bad = err.Error()
		d.blobs.release(u.Spec.Blob)
		return
	}
	u.File = file
}

func (d *decoder) dropHead(name cluster.Unit) {
	if u := d.snap.Units[name]; u != nil {
		d.blobs.forget(u.Spec.Blob, name)
		if u.File != nil {
			d.blobs.release(u.Spec.Blob)
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
		d.parse(u, d.blobs.use(h, name, map[units.Hash][]byte{h: raw}))
		d.snap.SetUnit(u)
		d.judge(u)
	}
}
