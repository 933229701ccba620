package api

import (
	"cmp"
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
	read    func(units.Hash) ([]byte, error)
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
	m, err := c.make(head, template)
	if err != nil {
		return keep, "", err
	}
	next := m.spec
	old := cluster.UnitSpec{}
	if head != nil {
		old = head.Spec
	}
	if err := moveTarget(c.Change, head, &next); err != nil {
		return keep, "", err
	}
	next.Applied = cmp.Or(c.Applied, next.Applied)
	if head != nil && next == old {
		return keep, m.note, nil
	}
	next.By, next.Request = c.by, c.request
	return Edit{Spec: &next, Blob: m.raw, Bundle: m.bundle}, m.note, nil
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
