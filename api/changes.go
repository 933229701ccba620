package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode"

	"flotilla/cluster"
	"flotilla/units"
)

// mustNotExist as an IfMatch demands that there is no such unit yet.
const mustNotExist = -1

// atOnce is how many changes wait for the store together. Each such part has storeWait.
const atOnce = 256

// changes answers POST /v1/changes: NDJSON of Change in, NDJSON of Result out, in order.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	request, err := requestID(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	batch, err := readChanges(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.fail(w, err)
		return
	}
	results := s.applyBatch(r, batch, request)
	if e := sameEverywhere(results); e != nil {
		s.fail(w, e)
		return
	}
	out := newStream(w)
	for _, res := range results {
		if out.send(res) != nil {
			return
		}
	}
}

// sameEverywhere is the error of the store that all changes met: the whole request failed.
func sameEverywhere(results []Result) *Error {
	if len(results) == 0 {
		return nil
	}
	first := results[0].Error
	for _, r := range results {
		if r.Error == nil || r.Error.Status < 500 || r.Error.Message != first.Message {
			return nil
		}
	}
	return first
}

// requestID is the header with which a client marks a repeat of the same request.
func requestID(r *http.Request) (string, error) {
	id := r.Header.Get("Request-Id")
	if len(id) > 128 || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", Refuse(http.StatusBadRequest, "use a random one, such as a UUID", "Request-Id: want up to 128 printable ASCII characters without blanks")
	}
	return id, nil
}

// applyBatch checks changes and makes the good ones durable.
func (s *Server) applyBatch(r *http.Request, batch []Change, request string) []Result {
	results := make([]Result, len(batch))
	var content, rest []int
	for i, c := range batch {
		results[i].Name = c.Name
		switch err := checkChange(c); {
		case err != nil:
			results[i].Error = s.asError(err)
		case c.Content != nil:
			// Units with content go first: an instance may be made of a template of the same batch.
			content = append(content, i)
		default:
			rest = append(rest, i)
		}
	}
	var down *Error // the store is out of reach: waiting again for each part would take minutes
	for _, list := range [][]int{content, rest} {
		for part := range slices.Chunk(list, atOnce) {
			if down == nil {
				down = s.applyChanges(r, batch, part, results, request)
				continue
			}
			for _, i := range part {
				results[i].Error = down
			}
		}
	}
	return results
}

func readChanges(body io.Reader) ([]Change, error) {
	dec := json.NewDecoder(body)
	var batch []Change
	for {
		var c Change
		switch err := strictly(dec, &c); {
		case errors.Is(err, io.EOF):
			return batch, nil
		case err != nil:
			return nil, badBody(err, fmt.Sprintf("change %d of the request", len(batch)+1))
		}
		batch = append(batch, c)
	}
}

// checkChange finds what is wrong with a change without looking at the cluster.
func checkChange(c Change) error {
	name, err := units.ParseName(c.Name)
	if err != nil {
		return err
	}
	if done := c.asksOfHosts(); done != "" && name.IsTemplate() {
		return Refuse(http.StatusBadRequest, fmt.Sprintf("name an instance, as in %s", name.With("1")),
			"%s is a template and cannot be %s", name, done)
	}
	if c.Only != "" && c.Only != Raise && c.Only != Lower {
		return Refuse(http.StatusBadRequest, "write raise or lower, or leave it out", "%s: only=%q", name, c.Only)
	}
	if c.IfMatch < mustNotExist {
		return Refuse(http.StatusBadRequest, "write the revision of an earlier answer, or -1 for: must not exist", "%s: if_match=%d", name, c.IfMatch)
	}
	if c.Delete && (c.Content != nil || c.DropIns != nil || c.Target != nil || c.Restart) {
		return Refuse(http.StatusBadRequest, "send two changes", "%s: delete goes with nothing else", name)
	}
	if c.Template && (c.Content == nil || !name.IsInstance()) {
		return Refuse(http.StatusBadRequest, "leave template out", "%s: template goes with the content of an instance", name)
	}
	if len(c.Applied) > maxApplied || strings.ContainsFunc(c.Applied, unicode.IsControl) {
		return Refuse(http.StatusBadRequest, "use the path of a folder, or a short name", "%s: applied is longer than %d bytes or has characters that cannot be seen", name, maxApplied)
	}
	var dropIns units.DropIns
	if c.DropIns != nil {
		dropIns = listed(*c.DropIns)
	}
	if c.Content == nil {
		return cited(c.Name, c.File, units.VerifyDropIns(name, dropIns))
	}
	return cited(c.Name, c.File, units.VerifyWith(name, []byte(*c.Content), dropIns))
}

// maxApplied is the longest name of a set of files, in bytes: that of a path.
const maxApplied = 4096

// asksOfHosts is the participle of what a change asks hosts to do, "" when it asks nothing of them.
func (c Change) asksOfHosts() string {
	switch {
	case c.Restart:
		return "restarted"
	case c.Target == nil || *c.Target == units.Inactive:
		return ""
	case *c.Target == units.Launched:
		return "started"
	case c.Only == Lower:
		return "stopped"
	}
	return "loaded"
}

// applyChanges makes the changes with the given indexes durable. It returns the error that
// says that the store is out of reach.
func (s *Server) applyChanges(r *http.Request, batch []Change, indexes []int, results []Result, request string) (down *Error) {
	ctx, cancel := context.WithTimeout(r.Context(), storeWait)
	defer cancel()
	names := make([]cluster.Unit, len(indexes))
	for k, i := range indexes {
		names[k] = cluster.Unit(batch[i].Name)
	}
	templates, err := s.templates(ctx, batch, indexes)
	if err != nil {
		down = s.asError(err)
		for _, i := range indexes {
			results[i].Error = down
		}
		return down
	}
	by, placed := s.note(r, ""), s.placed(names)
	read := func(h units.Hash) ([]byte, error) { return s.opt.Store.Blob(ctx, h) }
	outcomes := s.opt.Store.EditUnits(ctx, names, func(k int, head *cluster.UnitHead) (Edit, error) {
		i := indexes[k]
		w := wish{Change: batch[i], by: by, placed: placed[names[k]], read: read}
		if request != "" {
			w.request = fmt.Sprintf("%s/%d", request, i)
		}
		e, note, err := w.edit(head, templates[names[k].Template()])
		results[i].Note, results[i].Changed = note, !e.Keep
		return e, err
	})
	for k, o := range outcomes {
		res := &results[indexes[k]]
		res.Revision = o.Revision
		if o.Err == nil {
			continue
		}
		res.Error, res.Changed, res.Note = s.asError(o.Err), false, ""
		if ctx.Err() != nil && res.Error.Status >= http.StatusInternalServerError {
			down = res.Error
		}
	}
	return down
}

// placed says which of the units some host has an order to keep.
func (s *Server) placed(names []cluster.Unit) map[cluster.Unit]bool {
	out := map[cluster.Unit]bool{}
	if s.opt.Mirror == nil {
		return out
	}
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		for _, n := range names {
			for _, p := range c.Placed[n] {
				out[n] = out[n] || p.State != cluster.Gone
			}
		}
	})
	return out
}

// templates reads the heads of the templates that instances without content may be made of.
func (s *Server) templates(ctx context.Context, batch []Change, indexes []int) (map[cluster.Unit]*cluster.UnitSpec, error) {
	var names []cluster.Unit
	met := map[cluster.Unit]bool{}
	for _, i := range indexes {
		t := cluster.Unit(batch[i].Name).Template()
		if batch[i].Content == nil && t != "" && !met[t] {
			met[t] = true
			names = append(names, t)
		}
	}
	out := map[cluster.Unit]*cluster.UnitSpec{}
	if len(names) == 0 {
		return out, nil
	}
	outcomes := s.opt.Store.EditUnits(ctx, names, func(k int, head *cluster.UnitHead) (Edit, error) {
		if head != nil {
			spec := head.Spec
			out[names[k]] = &spec
		}
		return Edit{Keep: true}, nil
	})
	for _, o := range outcomes {
		if o.Err != nil {
			return nil, o.Err
		}
	}
	return out, nil
}
