package api

import (
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// revisionHeader carries the store's revision that a list shows at least: what ?watch takes.
const revisionHeader = "Flotilla-Revision"

// listQuery is what a list is asked for.
type listQuery struct {
	match []string
	names []string
	host  string
	after string
	limit int
	watch bool
	from  int64
}

// readListQuery reads the parameters of a list; only those named in also go beside the ones of
// every list.
func readListQuery(v url.Values, also ...string) (listQuery, error) {
	for _, key := range slices.Sorted(maps.Keys(v)) {
		if !slices.Contains([]string{"after", "limit", "watch"}, key) && !slices.Contains(also, key) {
			return listQuery{}, Refuse(http.StatusBadRequest, "see docs/api.md", "unknown parameter %q", key)
		}
	}
	q := listQuery{match: v["match"], names: v["name"], host: v.Get("host"), after: v.Get("after"), watch: v.Has("watch")}
	var err error
	if q.limit, err = number(v, "limit", 0); err != nil {
		return q, err
	}
	if q.watch {
		q.from, err = strconv.ParseInt(v.Get("watch"), 10, 64)
		if err != nil || q.from < 0 {
			return q, Refuse(http.StatusBadRequest, "take the "+revisionHeader+" of an earlier answer, or 0", "watch=%q is no revision", v.Get("watch"))
		}
	}
	return q, nil
}

// number reads a count from a query.
func number(v url.Values, key string, absent int) (int, error) {
	if !v.Has(key) {
		return absent, nil
	}
	n, err := strconv.Atoi(v.Get(key))
	if err != nil || n < 0 {
		return 0, Refuse(http.StatusBadRequest, "write 0 or more", "%s=%q is no count", key, v.Get(key))
	}
	return n, nil
}

// scan sends everything that a watch shows; watch drops what was sent before just so. sent are
// the names of what it dropped or sent the last time. open says that it can change by the time alone.
// An *Error ends the watch and is told to the client; any other means that the client is gone.
type scan func(sent []string, send func(name string, v any) error) (open bool, err error)

// A watch looks again at most every watchRest times what a look costs, so that many watchers of a large
// cluster leave the processor to others, and each watchTick while reasons depend on the time.
const (
	watchRest = 4
	watchTick = time.Second
)

// watch sends what look shows, and again what differs after each change of the mirror,
// until the client is gone. It remembers a hash of each line, not the lines.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, from int64, look scan) {
	wake, stop := s.opt.Mirror.Subscribe()
	defer stop()
	if err := s.await(r.Context(), from); err != nil {
		s.fail(w, err)
		return
	}
	out := newStream(w)
	seed := maphash.MakeSeed()
	sent := map[string]uint64{}
	for {
		began := s.opt.Now()
		next := make(map[string]uint64, len(sent))
		open, err := look(slices.Collect(maps.Keys(sent)), func(name string, v any) error {
			line, err := json.Marshal(v)
			if err != nil {
				return err
			}
			next[name] = maphash.Bytes(seed, line)
			if old, ok := sent[name]; ok && old == next[name] {
				return nil
			}
			return out.raw(line)
		})
		var told *Error
		if errors.As(err, &told) {
			out.end(told)
		}
		if err != nil || out.flush() != nil {
			return
		}
		sent = next
		if !rest(r.Context(), watchRest*s.opt.Now().Sub(began)) || !waitWake(r.Context(), wake, open) {
			out.end(ending())
			return
		}
	}
}

// await waits until the mirror reached a revision, for as long as a request may wait.
func (s *Server) await(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	return s.opt.Mirror.WaitRevision(ctx, rev)
}

// rest waits for d; false = ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// waitWake waits for a change, or with tick for watchTick at most; false = ctx ended.
func waitWake(ctx context.Context, wake <-chan struct{}, tick bool) bool {
	var timer <-chan time.Time
	if tick {
		t := time.NewTimer(watchTick)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-wake:
	case <-timer:
	case <-ctx.Done():
		return false
	}
	return true
}
