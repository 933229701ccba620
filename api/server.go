package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// Mirror is the whole cluster, kept up to date.
type Mirror interface {
	Read(func(*cluster.Snapshot))
	// Subscribe gives a wake-up of capacity one for every change, and its end.
	Subscribe() (<-chan struct{}, func())
	WaitRevision(ctx context.Context, rev int64) error
}

// Edit is what a user's change makes of a unit head: Spec nil deletes it, Blob is
// content that the new head names. Keep changes nothing.
type Edit struct {
	Keep bool
	Spec *cluster.UnitSpec
	Blob []byte
}

// Outcome is what became of an Edit.
type Outcome struct {
	Revision int64 // of the store, once durable
	Err      error
}

// Store is where users' wishes become durable. Every edit is a read, the caller's
// function, and a transaction that compares what was read; it is repeated when
// somebody else was faster.
type Store interface {
	EditUnits(ctx context.Context, names []cluster.Unit, edit func(i int, head *cluster.UnitHead) (Edit, error)) []Outcome
	EditHost(ctx context.Context, id cluster.HostID, edit func(*cluster.HostSpec) error) (int64, error)
	Blob(ctx context.Context, h units.Hash) ([]byte, error)
	ResumeFailover(ctx context.Context, by cluster.Note) error
	AcceptStore(ctx context.Context, by cluster.Note) (note string, err error)
	StopOrphan(ctx context.Context, w cluster.Where, by cluster.Note) (int64, error)
}

// Tokens mints join tokens.
type Tokens interface {
	// NewToken mints a one-time token that lives for ttl.
	NewToken(ctx context.Context, ttl time.Duration) (Token, error)
}

// Logs reads this host's journal; unit "" is the daemons' own lines.
type Logs func(ctx context.Context, unit string, lines int, follow bool, emit func(LogEntry) error) error

// Peers reaches other daemons.
type Peers interface {
	// Transport authenticates this daemon to others.
	Transport() http.RoundTripper
	// Leader is the API address of the leading daemon, "" while there is none.
	Leader(ctx context.Context) (host cluster.HostID, address string)
}

// Options are what lies behind the API. All but Mirror are required; without
// Mirror what needs it is asked of the leader.
type Options struct {
	Host     cluster.HostID
	Name     string
	Version  string
	Mirror   Mirror
	Store    Store
	Tokens   Tokens
	Admit    http.Handler // answers /v1/join and /v1/renew
	Peers    Peers
	Logs     Logs
	Local    func() Local
	Plan     plan.Options
	Now      func() time.Time
	Metrics  http.Handler
	Classify func(error) (code int, hint string) // of errors that are not this package's
	Log      *slog.Logger
}

// Server answers the API.
type Server struct {
	opt    Options
	plans  plans
	events *eventLog
}

// New makes a Server. Run must run for its events to be remembered.
func New(opt Options) *Server {
	return &Server{opt: opt, events: newEventLog()}
}

// Run remembers events until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s.opt.Mirror == nil {
		<-ctx.Done()
		return nil
	}
	return s.events.follow(ctx, s.opt.Mirror, s.opt.Now)
}

// Handler serves the API. Requests over TLS must carry a certificate of the cluster, but for joining.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/version", s.version)
	mux.HandleFunc("GET /v1/local", s.local)
	mux.Handle("GET /metrics", s.opt.Metrics)
	mux.Handle("POST /v1/join", s.opt.Admit)
	mux.Handle("POST /v1/renew", s.opt.Admit)
	mux.HandleFunc("POST /v1/tokens", s.newToken)
	mux.HandleFunc("POST /v1/store/accept", s.acceptStore)
	mux.HandleFunc("GET /v1/logs/", s.logs)
	mux.HandleFunc("GET /v1/logs/{thing}", s.logs)

	mirrored := map[string]http.HandlerFunc{
		"GET /v1/cluster":              s.cluster,
		"GET /v1/units":                s.listUnits,
		"GET /v1/units/{name}":         s.unit,
		"GET /v1/units/{name}/content": s.content,
		"POST /v1/changes":             s.changes,
		"GET /v1/hosts":                s.listHosts,
		"GET /v1/hosts/{host}":         s.host,
		"PATCH /v1/hosts/{host}":       s.patchHost,
		"GET /v1/explain/{thing}":      s.explain,
		"GET /v1/events":               s.listEvents,
		"POST /v1/failover/resume":     s.resumeFailover,

		"POST /v1/hosts/{host}/orphans/{unit}/stop": s.stopOrphan,
	}
	for pattern, h := range mirrored {
		mux.HandleFunc(pattern, s.needMirror(h))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, Refuse(http.StatusNotFound, "see docs/api.md", "no such resource: %s %s", r.Method, r.URL.Path))
	})
	return s.authenticate(mux)
}

// open are the paths that need no certificate: they carry their own proof.
var open = []string{"/v1/join", "/v1/version"}

// authenticate lets in who came over the unix socket (its permissions decide) or with
// a certificate of the cluster's CA.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && len(r.TLS.VerifiedChains) == 0 && !slices.Contains(open, r.URL.Path) {
			s.fail(w, Refuse(http.StatusUnauthorized, "run this on a host of the cluster, or use a client certificate",
				"this needs a certificate of the cluster"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// caller names who asked: the certificate's name, or root on this host.
func (s *Server) caller(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		return r.TLS.PeerCertificates[0].Subject.CommonName
	}
	return "root@" + s.opt.Name
}

func (s *Server) note(r *http.Request, why string) cluster.Note {
	return cluster.Note{Who: s.caller(r), When: s.opt.Now().UTC(), Why: why}
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, Version{Version: s.opt.Version, API: "v1"})
}

func (s *Server) local(w http.ResponseWriter, _ *http.Request) { s.answer(w, s.opt.Local()) }

// answer writes one JSON value.
func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}

// maxBody bounds a request: a batch of units is many, a unit file is small.
const maxBody = 64 << 20

// decode reads a small JSON body strictly: an unknown field is a fault.
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return Refuse(http.StatusBadRequest, "send one JSON object; docs/api.md has its fields",
			"request body: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
