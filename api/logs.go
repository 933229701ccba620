package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"flotilla/cluster"
)

// source is one host that has log lines of a thing.
type source struct {
	id      cluster.HostID
	name    string
	address string
}

// logs answers GET /v1/logs/THING: the journal lines of a unit on every host that has it,
// or of the daemons on a host. Any daemon answers for any host.
func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	lines, err := strconv.Atoi(q.Get("lines"))
	if err != nil || lines < 0 {
		lines = 10
	}
	follow := q.Get("follow") == "true"
	if r.Header.Get(forwarded) != "" && q.Get("local") == "true" {
		s.localLogs(w, r, q.Get("unit"), lines, follow)
		return
	}
	if s.opt.Mirror == nil {
		s.needMirror(nil)(w, r)
		return
	}
	unit, sources, err := s.sources(r.Context(), r.PathValue("thing"), q.Get("host"))
	if err != nil {
		s.fail(w, err)
		return
	}
	v := url.Values{"local": {"true"}, "unit": {unit}, "lines": {strconv.Itoa(lines)}, "follow": {strconv.FormatBool(follow)}}
	s.fanIn(w, r, sources, v)
}

// localLogs streams this host's own journal.
func (s *Server) localLogs(w http.ResponseWriter, r *http.Request, unit string, lines int, follow bool) {
	out := newStream(w)
	_ = out.flush() // the asker learns that it got through before the first line comes
	err := s.opt.Logs(r.Context(), unit, lines, follow, func(e LogEntry) error {
		if err := out.send(e); err != nil {
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
	var out []source
	s.opt.Mirror.Read(func(c *cluster.Snapshot) {
		for _, i := range unitView(c, cluster.Unit(thing), "").Instances {
			if only == nil || only.ID == i.Host {
				out = append(out, source{cluster.HostID(i.Host), i.HostName, i.Address})
			}
		}
	})
	if len(out) > 0 {
		return thing, out, nil
	}
	if known := s.views([]cluster.Unit{cluster.Unit(thing)})[0]; known.Revision > 0 {
		return "", nil, Refuse(http.StatusNotFound, "flotilla explain "+thing, "%s is on no host, so it has no log", thing)
	}
	if thing != "" {
		h, err := s.findHost(ctx, thing)
		if err != nil {
			return "", nil, Refuse(http.StatusNotFound, "flotilla status shows what there is", "no unit and no single host %q", thing)
		}
		return "", []source{{cluster.HostID(h.ID), h.Name, h.Address}}, nil
	}
	for _, h := range s.hostViews(ctx) {
		if only == nil || only.ID == h.ID {
			out = append(out, source{cluster.HostID(h.ID), h.Name, h.Address})
		}
	}
	return "", out, nil
}

// fanIn merges the lines of several hosts as they come. A host that cannot be asked is
// named in a line of its own, and the others go on.
func (s *Server) fanIn(w http.ResponseWriter, r *http.Request, sources []source, q url.Values) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	entries := make(chan LogEntry)
	var wg sync.WaitGroup
	for _, src := range sources {
		wg.Go(func() {
			emit := func(e LogEntry) error {
				e.Host = src.name
				select {
				case entries <- e:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := s.readFrom(ctx, src, q, emit); err != nil && ctx.Err() == nil {
				_ = emit(LogEntry{Time: s.opt.Now(), Priority: 3, Message: "flotilla: cannot read this host's log: " + err.Error()})
			}
		})
	}
	go func() { wg.Wait(); close(entries) }()
	out := newStream(w)
	_ = out.flush()
	for e := range entries {
		if err := errors.Join(out.send(e), out.flush()); err != nil {
			cancel()
		}
	}
}

// readFrom reads one host's lines, here or through its daemon.
func (s *Server) readFrom(ctx context.Context, src source, q url.Values, emit func(LogEntry) error) error {
	if src.id == s.opt.Host {
		lines, err := strconv.Atoi(q.Get("lines"))
		if err != nil {
			return err
		}
		return s.opt.Logs(ctx, q.Get("unit"), lines, q.Get("follow") == "true", emit)
	}
	c := NewClientWith(src.address, withHeader{s.opt.Peers.Transport(), s.opt.Name})
	return list(ctx, c, "/v1/logs/", q, emit)
}

// withHeader marks requests as forwarded.
type withHeader struct {
	next http.RoundTripper
	name string
}

func (t withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(forwarded, t.name)
	return t.next.RoundTrip(r)
}
