package api

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// listReboots answers GET /v1/reboots: each host by name, then each group by name, then the policy; ?watch=REVISION
// keeps it open.
func (s *Server) listReboots(w http.ResponseWriter, r *http.Request) {
	q, err := readListQuery(r.URL.Query())
	if err != nil {
		s.fail(w, err)
		return
	}
	if q.watch {
		s.watch(w, r, q.from, s.scanReboots())
		return
	}
	v, err := s.reboots()
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set(revisionHeader, strconv.FormatInt(v.rev, 10))
	out := newStream(w)
	for _, line := range v.lines() {
		if out.send(line) != nil {
			return
		}
	}
}

// scanReboots sends what stands, and of what was sent before that which is gone.
func (s *Server) scanReboots() scan {
	return func(sent []string, send func(string, any) error) (bool, error) {
		v, err := s.reboots()
		if err != nil {
			return false, err
		}
		is := map[string]bool{}
		for _, line := range v.lines() {
			is[line.name()] = true
			if err := send(line.name(), line); err != nil {
				return false, err
			}
		}
		slices.Sort(sent)
		for _, name := range sent {
			if is[name] {
				continue
			}
			if err := send(name, goneLine(name)); err != nil {
				return false, err
			}
		}
		return v.moves(), nil
	}
}

// The names of lines in a watch begin with what they are about.
const (
	ofHost  = "host "
	ofGroup = "group "
)

func (l RebootLine) name() string {
	switch {
	case l.Host != nil:
		return ofHost + string(l.Host.Host)
	case l.Group != nil:
		return ofGroup + l.Group.Name
	}
	return "policy"
}

func goneLine(name string) RebootLine {
	if id, ok := strings.CutPrefix(name, ofHost); ok {
		return RebootLine{Host: &HostReboot{HostReboot: plan.HostReboot{Host: cluster.HostID(id)}, State: HostGone}}
	}
	return RebootLine{Group: &RebootGroup{Name: strings.TrimPrefix(name, ofGroup), Gone: true}}
}

// rebootsView is all that is known of reboots at one revision.
type rebootsView struct {
	rev    int64
	hosts  []HostReboot
	groups []RebootGroup
	policy RebootPolicy
}

func (v rebootsView) lines() []RebootLine {
	var out []RebootLine
	for i := range v.hosts {
		out = append(out, RebootLine{Host: &v.hosts[i]})
	}
	for i := range v.groups {
		out = append(out, RebootLine{Group: &v.groups[i]})
	}
	return append(out, RebootLine{Policy: &v.policy})
}

// moves says that the view can change by the time alone.
func (v rebootsView) moves() bool {
	return slices.ContainsFunc(v.hosts, func(h HostReboot) bool { return h.Phase != cluster.PhaseNone && !h.Phase.Ended() })
}

func (s *Server) reboots() (v rebootsView, err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		v = s.plans.at(c, s.opt).reboots
	})
	return v, err
}

// viewReboots makes a view of a snapshot and what the planner's survey says of it.
func viewReboots(c *cluster.Snapshot, p plan.Result, now time.Time) rebootsView {
	v := rebootsView{rev: c.Revision, policy: policyView(c)}
	said := map[cluster.HostID]plan.HostReboot{}
	for _, r := range p.Reboots {
		said[r.Host] = r
	}
	for _, h := range c.KnownHosts() {
		if _, ok := said[h.ID]; !ok {
			said[h.ID] = plan.HostReboot{Host: h.ID, Name: h.Name()}
		}
	}
	past := pastOf(c)
	for _, r := range said {
		if h := c.Hosts[r.Host]; h != nil {
			v.hosts = append(v.hosts, rebootOf(h, r))
		}
	}
	slices.SortFunc(v.hosts, func(a, b HostReboot) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host)) })
	v.groups = rebootGroups(c, p.Groups)
	for i := range v.hosts {
		v.hosts[i].ETA = past.eta(v.hosts[i], v.groups, now)
	}
	return v
}

// rebootOf joins what the planner says of a host's reboot with what the host and its operators say.
func rebootOf(h *cluster.Host, r plan.HostReboot) HostReboot {
	out := HostReboot{HostReboot: r, State: hostState(h), Freeze: h.Spec.Freeze}
	if w := h.Spec.Reboot; w != nil {
		out.Wish, out.Now, out.Soft = w.ID, w.Now, w.Soft
	}
	if g := h.Grant; g != nil {
		out.Served = g.Wish
		if g.Phase.Holds() {
			out.Now, out.Soft = g.Now, g.Soft
		}
	}
	if h.Info != nil && h.Info.Reboot != nil {
		rep := h.Info.Reboot
		out.Need, out.Needs, out.Rivals, out.Problem = rep.Need.State, rep.Need.Reasons, rep.Rivals, rep.Problem
	}
	return out
}

func policyView(c *cluster.Snapshot) RebootPolicy {
	n := c.Notified
	return RebootPolicy{
		Freeze: c.Reboots.Freeze, Webhook: withoutSecrets(c.Reboots.Webhook), Revision: c.RebootsRev,
		Lost: n.Lost, Trouble: n.Trouble, Since: n.Since,
	}
}

// withoutSecrets is a webhook's URL as it may be shown: those of many services hold a key in what follows the host.
func withoutSecrets(webhook string) string {
	u, err := url.Parse(webhook)
	if err != nil || webhook == "" {
		return ""
	}
	out := u.Scheme + "://" + u.Host
	if u.RequestURI() != "/" || u.User != nil {
		out += "/…"
	}
	return out
}

// patchPolicy answers PATCH /v1/reboots/policy.
func (s *Server) patchPolicy(w http.ResponseWriter, r *http.Request) {
	var p PolicyPatch
	err := decode(w, r, &p)
	match := int64(0)
	if err == nil {
		match, err = ifMatch(r)
	}
	if err == nil {
		err = checkWebhook(p.Webhook)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	v, err := s.editPolicy(r.Context(), match, p, s.note(r, ""))
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("ETag", etag(v.Revision))
	s.answer(w, v)
}

// mostURL bounds a webhook's URL, in bytes.
const mostURL = 2048

func checkWebhook(hook *string) error {
	if hook == nil || *hook == "" {
		return nil
	}
	u, err := url.Parse(*hook)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(*hook) > mostURL {
		return Refuse(http.StatusBadRequest, "write it like https://example.com/hook", "webhook: this is no URL that can be posted to")
	}
	return nil
}

func (s *Server) editPolicy(ctx context.Context, match int64, p PolicyPatch, by cluster.Note) (RebootPolicy, error) {
	now := s.opt.Now()
	rev, err := s.opt.Store.EditRebootPolicy(ctx, match, func(was *cluster.RebootPolicy) (*cluster.RebootPolicy, error) {
		next := cluster.RebootPolicy{}
		if was != nil {
			next = *was
		}
		if err := checkFreeze(allHosts, p.Freeze, next.Freeze, now); err != nil {
			return nil, err
		}
		before := next
		next.Freeze = freezeOf(p.Freeze, next.Freeze, by)
		if p.Webhook != nil {
			next.Webhook = *p.Webhook
		}
		if next == before {
			return was, nil
		}
		next.By = by
		return &next, nil
	})
	if err != nil {
		return RebootPolicy{}, err
	}
	if err := s.await(ctx, rev); err != nil {
		return RebootPolicy{}, err
	}
	var out RebootPolicy
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { out = policyView(c) })
	return out, nil
}

// patchGroup answers PATCH /v1/reboots/groups/GROUP.
func (s *Server) patchGroup(w http.ResponseWriter, r *http.Request) {
	var p GroupPatch
	name := r.PathValue("group")
	err := decode(w, r, &p)
	match := int64(0)
	if err == nil {
		match, err = ifMatch(r)
	}
	var v RebootGroup
	if err == nil {
		v, err = s.editFreeze(r.Context(), name, match, p, s.note(r, ""))
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, v)
}

func (s *Server) editFreeze(ctx context.Context, name string, match int64, p GroupPatch, by cluster.Note) (out RebootGroup, err error) {
	now := s.opt.Now()
	none := noGroup(name)
	if name == cluster.DefaultGroup {
		none = Refuse(http.StatusNotFound, "flotilla group set default makes it; flotilla reboot freeze holds all hosts up", "nobody made the group default")
	}
	known := false
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { known = c.Groups[name] != nil })
	if !known { // its name need not even be one
		return out, none
	}
	rev, err := s.opt.Store.EditGroup(ctx, name, match, func(was *cluster.Group) (*cluster.Group, error) {
		if was == nil {
			return nil, none
		}
		next := *was
		if err := checkFreeze("group "+name, p.Freeze, was.Freeze, now); err != nil {
			return nil, err
		}
		next.Freeze = freezeOf(p.Freeze, was.Freeze, by)
		return &next, nil
	})
	if err == nil {
		err = s.await(ctx, rev)
	}
	if err != nil {
		return out, err
	}
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { // the plan that is kept may be older than the freeze
		for _, g := range rebootGroups(c, plan.Survey(c, s.opt.Plan, now).Groups) {
			if g.Name == name {
				out = g
			}
		}
	})
	return out, nil
}

// listHistory answers GET /v1/reboots/history, newest first; ?host=HOST only that one's, ?limit=N so many.
func (s *Server) listHistory(w http.ResponseWriter, r *http.Request) {
	q, err := readListQuery(r.URL.Query(), "host")
	if err == nil && (q.watch || q.after != "") {
		err = Refuse(http.StatusBadRequest, "see docs/api.md", "the history takes host and limit")
	}
	only := cluster.HostID("")
	if err == nil && q.host != "" {
		var h Host
		h, err = s.findHost(r.Context(), q.host)
		only = cluster.HostID(h.ID)
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	list, rev, err := s.history(only)
	if err != nil {
		s.fail(w, err)
		return
	}
	if q.limit > 0 && len(list) > q.limit {
		list = list[:q.limit]
	}
	w.Header().Set(revisionHeader, strconv.FormatInt(rev, 10))
	out := newStream(w)
	for _, rec := range list {
		if out.send(rec) != nil {
			return
		}
	}
}

// history are the outcomes of reboots as they were recorded, newest first, and the revision.
func (s *Server) history(only cluster.HostID) (out []*cluster.Record, rev int64, err error) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		if !c.Complete {
			err = incomplete()
			return
		}
		rev = c.Revision
		for _, r := range c.History {
			if only == "" || r.Host == only {
				out = append(out, r)
			}
		}
	})
	slices.SortFunc(out, func(a, b *cluster.Record) int {
		return cmp.Or(cmp.Compare(b.Rev, a.Rev), cmp.Compare(b.Generation, a.Generation), cmp.Compare(a.Host, b.Host))
	})
	return out, rev, err
}
