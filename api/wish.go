package api

import (
	"net/http"

	"flotilla/cluster"
	"flotilla/units"
)

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
	if head == nil && c.Only == Lower && c.Content == nil { // what is not there is not made in order to be lowered
		return keep, "", noUnit(c.Name)
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
	case c.Content == nil && head != nil && c.Replace && template != nil && template.Blob != head.Spec.Blob:
		next := replaced(head.Spec, template.Blob, name.Template())
		return next, nil, "replaced by " + string(name.Template()) + restarting(head.Spec), nil
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
	return replaced(head.Spec, hash, ""), raw, "replaced" + restarting(head.Spec), nil
}

// replaced is a head that names another content, made of the template or, without one, of its
// own file. What is launched restarts with it.
func replaced(spec cluster.UnitSpec, blob units.Hash, template cluster.Unit) cluster.UnitSpec {
	spec.Blob, spec.Template = blob, template
	if spec.Target == units.Launched {
		spec.Restart++
	}
	return spec
}

// restarting says in a note that a unit restarts with its new content.
func restarting(spec cluster.UnitSpec) string {
	if spec.Target == units.Launched {
		return ", restarting"
	}
	return ""
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
		c.Only == Raise && next.Target > *c.Target,
		c.Only == Lower && next.Target < *c.Target:
		return nil
	}
	next.Target = *c.Target
	if *c.Target == units.Launched {
		next.Run++
	}
	return nil
}
