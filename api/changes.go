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
	dec.DisallowUnknownFields()
	var batch []Change
	for {
		var c Change
		switch err := dec.Decode(&c); {
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
	if c.Target != nil && *c.Target != units.Inactive && name.IsTemplate() {
		return Refuse(http.StatusBadRequest, fmt.Sprintf("start an instance, as in %s", name.With("1")),
			"%s is a template and cannot be %s", name, *c.Target)
	}
	if c.Only != "" && c.Only != "raise" && c.Only != "lower" {
		return Refuse(http.StatusBadRequest, "write raise or lower, or leave it out", "%s: only=%q", name, c.Only)
	}
	if c.IfMatch < mustNotExist {
		return Refuse(http.StatusBadRequest, "write the revision of an earlier answer, or -1 for: must not exist", "%s: if_match=%d", name, c.IfMatch)
	}
	if c.Delete && (c.Content != nil || c.Target != nil || c.Restart) {
		return Refuse(http.StatusBadRequest, "send two changes", "%s: delete goes with nothing else", name)
	}
	if c.Content == nil {
		return nil
	}
	err = units.Verify(name, []byte(*c.Content))
	var faults units.Errors
	if errors.As(err, &faults) && c.File != "" {
		for _, f := range faults {
			f.File = c.File
		}
	}
	return err
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
	outcomes := s.opt.Store.EditUnits(ctx, names, func(k int, head *cluster.UnitHead) (Edit, error) {
		i := indexes[k]
		w := wish{Change: batch[i], by: by, placed: placed[names[k]]}
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

// wish is a change with who asked, and in which request.
type wish struct {
	Change
	by      cluster.Note
	request string
	placed  bool // on some host, though its head may be missing
}

// edit decides what a change makes of a head (nil = none), with a note for the user.
func (c wish) edit(head *cluster.UnitHead, template *cluster.UnitSpec) (Edit, string, error) {
	keep := Edit{Keep: true}
	if c.request != "" && head != nil && head.Spec.Request == c.request {
		return keep, "done by this request before", nil
	}
	if err := c.checkMatch(head); err != nil {
		return keep, "", err
	}
	if c.Delete {
		if head == nil && !c.placed {
			return keep, "", noUnit(c.Name)
		}
		return Edit{By: c.by}, "destroyed", nil
	}
	next, blob, note, err := nextContent(c.Change, head, template)
	if err != nil {
		return keep, "", err
	}
	old := cluster.UnitSpec{}
	if head != nil {
		old = head.Spec
	}
	if err := moveTarget(c.Change, head, &next); err != nil {
		return keep, "", err
	}
	if head != nil && next == old {
		return keep, note, nil
	}
	next.By, next.Request = c.by, c.request
	return Edit{Spec: &next, Blob: blob}, note, nil
}

func (c wish) checkMatch(head *cluster.UnitHead) error {
	switch {
	case c.IfMatch == 0:
	case c.IfMatch == mustNotExist:
		if head != nil {
			return Refuse(http.StatusPreconditionFailed, "leave If-None-Match out to change it", "%s exists already, at revision %d", c.Name, head.Rev)
		}
	case head == nil:
		return Refuse(http.StatusPreconditionFailed, "read it again and repeat", "%s is gone, If-Match asked for revision %d", c.Name, c.IfMatch)
	case head.Rev != c.IfMatch:
		return Refuse(http.StatusPreconditionFailed, "read it again and repeat", "%s is at revision %d, If-Match asked for %d", c.Name, head.Rev, c.IfMatch)
	}
	return nil
}

// nextContent settles which bytes the head names.
func nextContent(c Change, head *cluster.UnitHead, template *cluster.UnitSpec) (cluster.UnitSpec, []byte, string, error) {
	name := cluster.Unit(c.Name)
	switch {
	case c.Content == nil && head != nil:
		return head.Spec, nil, "", nil
	case c.Content == nil && template != nil:
		return cluster.UnitSpec{Blob: template.Blob, Template: name.Template()}, nil, "made from " + string(name.Template()), nil
	case c.Content == nil:
		return cluster.UnitSpec{}, nil, "", noUnit(c.Name)
	}
	raw := []byte(*c.Content)
	hash := units.HashOf(raw)
	switch {
	case head == nil:
		return cluster.UnitSpec{Blob: hash}, raw, "created", nil
	case head.Spec.Blob == hash:
		return head.Spec, nil, "same content, nothing to do", nil
	case !c.Replace:
		return cluster.UnitSpec{}, nil, "", Refuse(http.StatusConflict, "--replace puts the new content in its place",
			"%s is in the cluster with other content (%s there, %s here)", c.Name, head.Spec.Blob.Short(), hash.Short())
	}
	next := head.Spec
	next.Blob, next.Template = hash, ""
	if next.Target == units.Launched {
		next.Restart++
		return next, raw, "replaced, restarting", nil
	}
	return next, raw, "replaced", nil
}

// moveTarget sets the target state and the counters that make a start or restart happen once.
func moveTarget(c Change, head *cluster.UnitHead, next *cluster.UnitSpec) error {
	if c.Restart {
		if head == nil || head.Spec.Target != units.Launched {
			return Refuse(http.StatusConflict, "flotilla start "+c.Name, "%s is not started, so it cannot be restarted", c.Name)
		}
		next.Restart++
	}
	switch {
	case c.Target == nil,
		c.Only == "raise" && next.Target > *c.Target,
		c.Only == "lower" && next.Target < *c.Target:
		return nil
	}
	next.Target = *c.Target
	if *c.Target == units.Launched {
		next.Run++
	}
	return nil
}
