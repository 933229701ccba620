package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"flotilla/cluster"
	"flotilla/units"
)

// changes answers POST /v1/changes: NDJSON of Change in, NDJSON of Result out, in order.
func (s *Server) changes(w http.ResponseWriter, r *http.Request) {
	batch, err := readChanges(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.fail(w, err)
		return
	}
	results := make([]Result, len(batch))
	var good []int
	for i, c := range batch {
		results[i].Name = c.Name
		if err := checkChange(c); err != nil {
			results[i].Error = s.asError(err)
			continue
		}
		good = append(good, i)
	}
	// Units with content go first: an instance may be made of a template of the same batch.
	content := func(i int) bool { return batch[i].Content != nil }
	first := slices.DeleteFunc(slices.Clone(good), func(i int) bool { return !content(i) })
	rest := slices.DeleteFunc(slices.Clone(good), content)
	for _, part := range [][]int{first, rest} {
		s.applyChanges(r, batch, part, results)
	}
	out := newStream(w)
	for _, res := range results {
		if out.send(res) != nil {
			return
		}
	}
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
			return nil, Refuse(http.StatusBadRequest, "send one JSON object a line; docs/api.md has their fields",
				"change %d of the request: %v", len(batch)+1, err)
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

// applyChanges makes the changes with the given indexes durable.
func (s *Server) applyChanges(r *http.Request, batch []Change, indexes []int, results []Result) {
	if len(indexes) == 0 {
		return
	}
	names := make([]cluster.Unit, len(indexes))
	for k, i := range indexes {
		names[k] = cluster.Unit(batch[i].Name)
	}
	templates := s.templates(r, batch, indexes)
	by := s.note(r, "")
	outcomes := s.opt.Store.EditUnits(r.Context(), names, func(k int, head *cluster.UnitHead) (Edit, error) {
		c := batch[indexes[k]]
		e, note, err := edit(c, head, templates[names[k].Template()], by)
		results[indexes[k]].Note, results[indexes[k]].Changed = note, !e.Keep
		return e, err
	})
	for k, o := range outcomes {
		res := &results[indexes[k]]
		res.Revision = o.Revision
		if o.Err != nil {
			res.Error, res.Changed, res.Note = s.asError(o.Err), false, ""
		}
	}
}

// templates reads the heads of the templates that instances without content may be made of.
func (s *Server) templates(r *http.Request, batch []Change, indexes []int) map[cluster.Unit]*cluster.UnitSpec {
	var names []cluster.Unit
	for _, i := range indexes {
		t := cluster.Unit(batch[i].Name).Template()
		if batch[i].Content == nil && t != "" && !slices.Contains(names, t) {
			names = append(names, t)
		}
	}
	out := map[cluster.Unit]*cluster.UnitSpec{}
	if len(names) == 0 {
		return out
	}
	s.opt.Store.EditUnits(r.Context(), names, func(k int, head *cluster.UnitHead) (Edit, error) {
		if head != nil {
			spec := head.Spec
			out[names[k]] = &spec
		}
		return Edit{Keep: true}, nil
	})
	return out
}

// edit decides what a change makes of a head (nil = none), with a note for the user.
func edit(c Change, head *cluster.UnitHead, template *cluster.UnitSpec, by cluster.Note) (Edit, string, error) {
	keep := Edit{Keep: true}
	if c.IfMatch != 0 && (head == nil || head.Rev != c.IfMatch) {
		return keep, "", Refuse(http.StatusConflict, "read it again and repeat", "%s was changed meanwhile", c.Name)
	}
	if c.Delete {
		if head == nil {
			return keep, "", noUnit(c.Name)
		}
		return Edit{}, "destroyed", nil
	}
	next, blob, note, err := nextContent(c, head, template)
	if err != nil {
		return keep, "", err
	}
	old := cluster.UnitSpec{}
	if head != nil {
		old = head.Spec
	}
	if err := moveTarget(c, head, &next); err != nil {
		return keep, "", err
	}
	next.By = by
	same := next
	same.By = old.By
	if head != nil && same == old {
		return keep, note, nil
	}
	return Edit{Spec: &next, Blob: blob}, note, nil
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
