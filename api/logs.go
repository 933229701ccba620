package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"flotilla/cluster"
	"flotilla/units"
)

// source is one host that has log lines of a thing.
type source struct {
	id      cluster.HostID
	name    string
	address string
	absent  bool
	note    string // a line to begin with; empty = none
}

// logQuery is what is asked of one host's journal; unit "" is the daemons' own lines.
type logQuery struct {
	unit   string
	lines  int
	follow bool
}

// mostLines bounds what is asked of all hosts together, and with it what is held in memory: many hosts
// give fewer lines each. mostAsked hosts are asked at a time. Lines are followed on mostFollowed hosts,
// because each of them holds a connection open.
const (
	mostLines    = 100_000
	fewLines     = 10
	mostAsked    = 64
	mostFollowed = 256
)

func readLogQuery(v url.Values) (logQuery, error) {
	q := logQuery{unit: v.Get("unit")}
	var err error
	if q.lines, err = number(v, "lines", fewLines); err != nil {
		return q, err
	}
	if q.lines > mostLines {
		return q, Refuse(http.StatusBadRequest, "ask for fewer", "lines=%d: at most %d", q.lines, mostLines)
	}
	switch v.Get("follow") {
	case "", "false":
	case "true":
		q.follow = true
	default:
		return q, Refuse(http.StatusBadRequest, "write true or false", "follow=%q", v.Get("follow"))
	}
	return q, nil
}

// among is what is asked of each of so many hosts.
func (q logQuery) among(hosts int) (logQuery, error) {
	if q.follow && hosts > mostFollowed {
		return q, Refuse(http.StatusBadRequest, "name a unit on fewer hosts or one host, or leave follow out", "lines of %d hosts cannot be followed: at most %d", hosts, mostFollowed)
	}
	q.lines = min(q.lines, max(mostLines/max(hosts, 1), 1))
	return q, nil
}

func (q logQuery) values() url.Values {
	return url.Values{"local": {"true"}, "unit": {q.unit}, "lines": {strconv.Itoa(q.lines)}, "follow": {strconv.FormatBool(q.follow)}}
}

// logs answers GET /v1/logs/THING: the journal lines of a unit on every host that has it,
// or of the daemons on a host. Any daemon answers for any host.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	q, err := readLogQuery(v)
	if err != nil {
		s.fail(w, err)
		return
	}
	if r.Header.Get(forwarded) != "" && v.Get("local") == "true" {
		if _, err := units.ParseName(q.unit); q.unit != "" && err != nil { // no pattern over all that the host logs
			s.fail(w, err)
			return
		}
		s.localLogs(w, r, q)
		return
	}
	if q.unit = s.ownUnit(r, v.Get("host")); q.unit != "" {
		s.fanIn(w, r, []source{{id: s.opt.Host, name: s.opt.Name, note: "which other hosts have it is not known: these are the lines of this host only"}}, q)
		return
	}
	s.needMirror(func(w http.ResponseWriter, r *http.Request) {
		unit, sources, err := s.sources(r.Context(), r.PathValue("thing"), v.Get("host"))
		if err != nil {
			s.fail(w, err)
			return
		}
		q.unit = unit
		if q, err = q.among(len(sources)); err != nil {
			s.fail(w, err)
			return
		}
		s.fanIn(w, r, sources, q)
	})(w, r)
}

// ownUnit is the unit that is asked for if only this host is known to have it: the daemon has not
// seen the cluster yet, and a person on its host asks. Else it is empty.
func (s *Server) ownUnit(r *http.Request, host string) string {
	name := r.PathValue("thing")
	if r.TLS != nil || s.opt.Has == nil || host != "" && host != s.opt.Name && host != string(s.opt.Host) {
		return ""
	}
	if !s.opt.Has(cluster.Unit(name)) {
		name = units.Mangle(name)
	}
	if !s.opt.Has(cluster.Unit(name)) {
		return ""
	}
	if s.opt.Mirror != nil && s.loaded(r.Context()) {
		return ""
	}
	if s.opt.Mirror == nil {
		if _, address := s.opt.Peers.Leader(r.Context()); address != "" {
			return ""
		}
	}
	return name
}

// localLogs streams this host's own journal.
func (s *Server) localLogs(w http.ResponseWriter, r *http.Request, q logQuery) {
	out := newStream(w)
	_ = out.flush() // the asker learns that it got through before the first line comes
	err := s.opt.Logs(r.Context(), q.unit, q.lines, q.follow, func(e LogEntry) error {
		if err := out.send(e); err != nil || !q.follow {
			return err
		}
		return out.flush()
	})
	if err != nil && r.Context().Err() == nil {
		out.end(s.asError(err))
	}
}

// sources finds the hosts to ask, and the unit to ask for.
func (s *Server) sources(ctx context.Context, thing, host string) (string, []source, error) {
	var only *Host
	if host != "" {
		h, err := s.findHost(ctx, host)
		if err != nil {
			return "", nil, err
		}
		only = &h
	}
	known, out := s.unitSources(cluster.Unit(thing), only)
	switch {
	case len(out) > 0:
		return thing, out, nil
	case known && only != nil:
		return "", nil, Refuse(http.StatusNotFound, "flotilla status "+thing+" shows its hosts", "%s is not on %s", thing, only.Name)
	case known:
		return "", nil, Refuse(http.StatusNotFound, "flotilla explain "+thing, "%s is on no host, so it has no log", thing)
	case thing != "":
		h, err := s.findHost(ctx, thing)
		if err != nil {
			return "", nil, nothing(err, thing)
		}
		if only != nil && only.ID != h.ID {
			return "", nil, Refuse(http.StatusBadRequest, "ask for one of them", "%s and %s are two hosts", h.Name, only.Name)
		}
		return "", []source{hostSource(h)}, nil
	}
	list, _, err := s.hostViews(ctx)
	if err != nil {
		return "", nil, err
	}
	for _, h := range list {
		if only == nil || only.ID == h.ID {
			out = append(out, hostSource(h))
		}
	}
	return "", out, nil
}

func hostSource(h Host) source {
	return source{id: cluster.HostID(h.ID), name: h.Name, address: h.Address, absent: h.State == HostAbsent}
}

// unitSources are the hosts that have a unit, or of them only the one, and whether there is
// such a unit at all.
func (s *Server) unitSources(name cluster.Unit, only *Host) (known bool, out []source) {
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		known = c.Units[name] != nil
		for _, i := range unitView(c, name, verdict{}).Instances {
			known = true
			if only == nil || only.ID == i.Host {
				id := cluster.HostID(i.Host)
				out = append(out, source{id: id, name: i.HostName, address: i.Address, absent: c.Hosts[id].Alive == nil})
			}
		}
	})
	return known, out
}

// fanIn merges the lines of several hosts: by time, or as they come when they are
// followed. A host that cannot be asked is named in a line of its own, and the others
// go on.
func (s *Server) fanIn(w http.ResponseWriter, r *http.Request, sources []source, q logQuery) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	entries := make(chan LogEntry)
	done := make(chan struct{})
	go func() { defer close(done); s.askAll(ctx, sources, q, entries) }()
	defer func() { cancel(); <-done }()
	out := newStream(w)
	if q.follow {
		_ = out.flush()
	}
	var all []LogEntry
	for {
		select {
		case e := <-entries:
			if !q.follow {
				all = append(all, e)
			} else if errors.Join(out.send(e), out.flush()) != nil {
				return
			}
		case <-done:
			if q.follow && ctx.Err() != nil {
				out.end(ending())
				return
			}
			slices.SortStableFunc(all, func(a, b LogEntry) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Host, b.Host)) })
			for _, e := range all {
				if out.send(e) != nil {
					return
				}
			}
			return
		}
	}
}

// askAll hands over the lines of all hosts and returns once the last of them is read: a few hosts at a
// time, or all of them at once when they are followed.
func (s *Server) askAll(ctx context.Context, sources []source, q logQuery, entries chan<- LogEntry) {
	var hosts errgroup.Group
	if !q.follow {
		hosts.SetLimit(mostAsked)
	}
	for _, src := range sources {
		hosts.Go(func() error { s.readInto(ctx, src, q, entries); return nil })
	}
	_ = hosts.Wait() // a host that cannot be asked says so in a line
}

// readInto hands over one host's lines until they end or ctx does.
func (s *Server) readInto(ctx context.Context, src source, q logQuery, entries chan<- LogEntry) {
	emit := func(e LogEntry) error {
		e.Host = src.name
		select {
		case entries <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if src.note != "" {
		_ = emit(LogEntry{Time: s.opt.Now(), Priority: 4, Message: "flotilla: " + src.note})
	}
	err := errors.New("the host is absent")
	if !src.absent || src.id == s.opt.Host {
		err = s.readFrom(ctx, src, q, emit)
	}
	if err != nil && ctx.Err() == nil {
		_ = emit(LogEntry{Time: s.opt.Now(), Priority: 3, Message: "cannot read this host's log: " + oneLine(err.Error())})
	}
}

// readFrom reads one host's lines, here or through its daemon.
func (s *Server) readFrom(ctx context.Context, src source, q logQuery, emit func(LogEntry) error) error {
	if src.id == s.opt.Host {
		return s.opt.Logs(ctx, q.unit, q.lines, q.follow, emit)
	}
	c := NewClientWith(src.address, withHeader{s.opt.Peers.Transport(), s.opt.Name})
	return list(ctx, c, "/v1/logs/", q.values(), emit)
}

// withHeader marks requests as forwarded.
type withHeader struct {
	next http.RoundTripper
	name string
}

// RoundTrip sends the request with the mark.
func (t withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(forwarded, t.name)
	return t.next.RoundTrip(r)
}
