package sim

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// clock is the clock of one host. Somebody may set it, ahead or back; what passed between two of its readings is
// told all the same, as by time.Now: it reads a monotonic clock beside the one on the wall.
type clock struct {
	booted time.Time    // of the simulation
	ahead  atomic.Int64 // of the true time; nanoseconds
}

// set has the wall clock go so far ahead of the true time.
func (c *clock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// off is how far the wall clock goes ahead.
func (c *clock) off() time.Duration { return time.Duration(c.ahead.Load()) }

func (c *clock) now() time.Time {
	now := time.Now()
	return withMonotonic(now.Add(c.off()), now.Sub(c.booted)+time.Second)
}

// reading is time.Time as the runtime fills it: seconds since 1885 and nanoseconds of the wall clock, then the
// monotonic clock. In a bubble of virtual time the runtime leaves the second one out.
type reading struct {
	wall      uint64
	monotonic int64
	_         *time.Location
}

// withMonotonic is an instant of the wall clock that remembers what a monotonic clock said.
func withMonotonic(wall time.Time, monotonic time.Duration) time.Time {
	const (
		has       = 1 << 63
		nanoBits  = 30
		since1885 = 2682288000 // seconds to 1970
	)
	t := wall.Round(0)
	r := (*reading)(unsafe.Pointer(&t))
	r.wall = has | uint64(wall.Unix()+since1885)<<nanoBits | uint64(wall.Nanosecond())
	r.monotonic = int64(monotonic)
	return t
}
