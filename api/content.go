package api

import (
	"errors"
	"net/http"
	"path/filepath"

	"flotilla/cluster"
	"flotilla/units"
)

// made is what a change makes of a unit's files: the head that names them, and the contents that may be new.
type made struct {
	spec        cluster.UnitSpec
	raw, bundle []byte // nil = the store has it
	note        string // for the user
}

// make settles which contents the head names.
func (c wish) make(head *cluster.UnitHead, template *cluster.UnitSpec) (made, error) {
	var out made
	var err error
	switch {
	case c.Content == nil && template != nil && (head == nil || c.Replace):
		out, err = c.ofTemplate(head, template)
	case c.Content == nil && head == nil:
		return made{}, noUnit(c.Name)
	default:
		out, err = c.ofFile(head)
	}
	if err != nil {
		return made{}, err
	}
	return out, c.verifyWhole(head, out)
}

// ofTemplate makes an instance of its template as it is now. What it has beside the template's drop-ins stays.
func (c wish) ofTemplate(head *cluster.UnitHead, template *cluster.UnitSpec) (made, error) {
	name := cluster.Unit(c.Name)
	own, err := c.own(head)
	if err != nil {
		return made{}, err
	}
	dropIns, bundle, err := c.over(template.DropIns, own)
	if err != nil {
		return made{}, err
	}
	out := made{bundle: bundle}
	switch {
	case head == nil:
		out.note = "made from " + string(name.Template())
	case head.Spec.Blob == template.Blob && head.Spec.DropIns == dropIns:
		out.spec = head.Spec
		if out.spec.Template != "" {
			out.spec.TemplateDropIns = template.DropIns
		}
		return out, nil
	default:
		out.spec = restarted(head.Spec)
		out.note = "replaced by " + string(name.Template()) + restarting(head.Spec)
	}
	out.spec.Blob, out.spec.DropIns = template.Blob, dropIns
	out.spec.Template, out.spec.TemplateDropIns = name.Template(), template.DropIns
	return out, nil
}

// own are the drop-ins that an instance has beside its template's: those given, or those it has.
func (c wish) own(head *cluster.UnitHead) (units.DropIns, error) {
	if c.DropIns != nil {
		return listed(*c.DropIns), nil
	}
	if head == nil || head.Spec.DropIns == head.Spec.TemplateDropIns {
		return nil, nil
	}
	has, err := c.bundle(head.Spec.DropIns)
	if err != nil {
		return nil, err
	}
	base, err := c.bundle(head.Spec.TemplateDropIns)
	return has.Beyond(base), err
}

// over lays an instance's own drop-ins over a bundle. bundle is nil when the outcome is that bundle.
func (c wish) over(base units.Hash, own units.DropIns) (h units.Hash, bundle []byte, err error) {
	if len(own) == 0 {
		return base, nil, nil
	}
	below, err := c.bundle(base)
	if err != nil {
		return "", nil, err
	}
	return bundled(below.Overlay(own))
}

// bundled is drop-ins as one content, "" and nil for none.
func bundled(d units.DropIns) (units.Hash, []byte, error) {
	raw, err := d.Bundle()
	if err != nil || raw == nil {
		return "", nil, err
	}
	return units.HashOf(raw), raw, nil
}

// bundle reads drop-ins from the store.
func (c wish) bundle(h units.Hash) (units.DropIns, error) {
	if h == "" {
		return nil, nil
	}
	raw, err := c.read(h)
	if err != nil {
		return nil, err
	}
	return units.ParseDropIns(raw)
}

// listed are drop-ins of the API in the words of units.
func listed(list []DropIn) units.DropIns {
	out := make(units.DropIns, len(list))
	for i, d := range list {
		out[i] = units.DropIn{Name: d.Name, Raw: []byte(d.Content)}
	}
	return out
}

// ofFile makes a unit of the content and the drop-ins that were given; what was not stays as it is.
func (c wish) ofFile(head *cluster.UnitHead) (made, error) {
	var old cluster.UnitSpec
	if head != nil {
		old = head.Spec
	}
	out := made{spec: old}
	next := &out.spec
	if c.Content != nil {
		out.raw = []byte(*c.Content)
		next.Blob = units.HashOf(out.raw)
	}
	if err := c.dropInsOf(&out); err != nil {
		return made{}, err
	}
	same := next.Blob == old.Blob && next.DropIns == old.DropIns
	switch {
	case head != nil && same && c.Content != nil:
		return made{spec: old, note: "same content, nothing to do"}, nil
	case same:
		return made{spec: old}, nil
	case head != nil && !c.Replace:
		return made{}, c.differs(old, *next)
	}
	out.note = "created"
	if head != nil {
		out.spec, out.note = restarted(out.spec), "replaced"+restarting(old)
	}
	if c.Content != nil {
		next.Template, next.TemplateDropIns = "", ""
	}
	if c.Template {
		next.Template, next.TemplateDropIns = cluster.Unit(c.Name).Template(), next.DropIns
	}
	return out, nil
}

// dropInsOf names the drop-ins that were given, if any. Without content they are an instance's own.
func (c wish) dropInsOf(out *made) (err error) {
	switch {
	case c.DropIns == nil:
	case c.Content == nil && out.spec.Template != "":
		out.spec.DropIns, out.bundle, err = c.over(out.spec.TemplateDropIns, listed(*c.DropIns))
	default:
		out.spec.DropIns, out.bundle, err = bundled(listed(*c.DropIns))
	}
	return err
}

// differs refuses to replace without being asked to.
func (c wish) differs(old, next cluster.UnitSpec) error {
	if old.Blob != next.Blob {
		return Refuse(http.StatusConflict, "--replace puts the new content in its place",
			"%s is in the cluster with other content (%s there, %s here)", c.Name, old.Blob.Short(), next.Blob.Short())
	}
	return Refuse(http.StatusConflict, "--replace puts the new ones in their place",
		"%s is in the cluster with other drop-ins (%s there, %s here)", c.Name, orNone(old.DropIns), orNone(next.DropIns))
}

func orNone(h units.Hash) string {
	if h == "" {
		return "none"
	}
	return h.Short()
}

// restarted is a head whose files change: what is launched restarts with them.
func restarted(spec cluster.UnitSpec) cluster.UnitSpec {
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

// verifyWhole judges a unit file together with its drop-ins, where one of them changed and they were not
// given together.
func (c wish) verifyWhole(head *cluster.UnitHead, m made) error {
	if m.spec.DropIns == "" || c.Content != nil && c.DropIns != nil {
		return nil
	}
	if head != nil && head.Spec.Blob == m.spec.Blob && head.Spec.DropIns == m.spec.DropIns {
		return nil
	}
	raw, bundle, err := m.raw, m.bundle, error(nil)
	if raw == nil {
		if raw, err = c.read(m.spec.Blob); err != nil {
			return err
		}
	}
	if bundle == nil {
		if bundle, err = c.read(m.spec.DropIns); err != nil {
			return err
		}
	}
	d, err := units.ParseDropIns(bundle)
	if err != nil {
		return err
	}
	return cited(c.Name, c.File, units.VerifyWith(units.Name(c.Name), raw, d))
}

// cited lets the faults of a unit's content name the file that it came from, and drop-ins beside it. "" is no file.
func cited(name, file string, err error) error {
	var faults units.Errors
	if file == "" || !errors.As(err, &faults) {
		return err
	}
	for _, f := range faults {
		if f.File == name {
			f.File = file
			continue
		}
		f.File = filepath.Join(filepath.Dir(file), f.File)
	}
	return err
}

// dropIns answers GET /v1/units/NAME/dropins: the drop-ins as they were submitted, by name.
func (s *Server) dropIns(w http.ResponseWriter, r *http.Request) {
	head := s.head(r.PathValue("name"))
	if head == nil {
		s.fail(w, noUnit(r.PathValue("name")))
		return
	}
	var list units.DropIns
	if h := head.Spec.DropIns; h != "" {
		raw, err := s.opt.Store.Blob(r.Context(), h)
		if err == nil {
			list, err = units.ParseDropIns(raw)
		}
		if err != nil {
			s.fail(w, err)
			return
		}
	}
	w.Header().Set("ETag", etag(head.Rev))
	out := newStream(w)
	for _, d := range list {
		if out.send(DropIn{Name: d.Name, Content: string(d.Raw)}) != nil {
			return
		}
	}
}

// head is a unit's head, or nil.
func (s *Server) head(name string) (head *cluster.UnitHead) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { head = c.Units[cluster.Unit(name)] })
	return head
}
