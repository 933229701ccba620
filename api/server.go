package api

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	// Err says why what Read shows may be old or incomplete; nil when all is well.
	Err() error
}

// Edit is what a user's change makes of a unit head: Spec nil deletes it, Blob and Bundle are
// contents that the new head names, nil where the store has them. Keep changes nothing.
type Edit struct {
	Keep   bool
	Spec   *cluster.UnitSpec
	Blob   []byte
	Bundle []byte       // of the user's drop-ins
	By     cluster.Note // who deletes
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
	// EditHost compares ifMatch with the revision of what operators said before; 0 = any.
	EditHost(ctx context.Context, id cluster.HostID, ifMatch int64, edit func(*cluster.HostSpec) error) (int64, error)
	Blob(ctx context.Context, h units.Hash) ([]byte, error)
	ResumeFailover(ctx context.Context, by cluster.Note) error
	AcceptStore(ctx context.Context, by cluster.Note) (note string, err error)
	StopOrphan(ctx context.Context, w cluster.Where, by cluster.Note) (int64, error)
	// EditGroup changes a group on its newest value; nil is none. It compares ifMatch with the value's
	// revision before; 0 = any. It returns the store's revision.
	EditGroup(ctx context.Context, name cluster.GroupName, ifMatch int64, edit func(*cluster.Group) (*cluster.Group, error)) (int64, error)
	// EditWindow is EditGroup for a window.
	EditWindow(ctx context.Context, name cluster.GroupName, ifMatch int64, edit func(*cluster.Window) (*cluster.Window, error)) (int64, error)
	// EditRebootPolicy is EditGroup for what holds for all groups.
	EditRebootPolicy(ctx context.Context, ifMatch int64, edit func(*cluster.RebootPolicy) (*cluster.RebootPolicy, error)) (int64, error)
	// UseGrant commits a host to reboot, in the life that it began at revision alive, if the grant stands as it is.
	UseGrant(ctx context.Context, id cluster.HostID, alive int64, g cluster.Granting) error
	// RefuseGrant takes that back: the host will not reboot, and why says why.
	RefuseGrant(ctx context.Context, id cluster.HostID, alive int64, g cluster.Granting, why string) error
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

// Role is what the holder of a client certificate may do.
type Role int

// The roles. A host reads everything and passes on what its own root asked for; an
// administrator may do everything.
const (
	RoleStranger Role = iota
	RoleHost
	RoleAdmin
)

// Options are what lies behind the API. All are required but Mirror, without which what needs it is asked
// of the leader, and those that say so.
type Options struct {
	Host     cluster.HostID
	Name     string
	Version  string
	Mirror   Mirror
	Store    Store
	Tokens   Tokens
	Admit    http.Handler // answers /v1/join and /v1/renew
	Peers    Peers
	Peer     func(*tls.ConnectionState) (Role, string)   // who is at the other end, by a verified certificate
	Removed  func(context.Context, cluster.HostID) bool  // an operator gave the host up; nil = nobody asks
	Leave    func(context.Context, cluster.HostID) error // takes a host's etcd member out; nil = etcd is not ours
	Etcd     func(context.Context) []EtcdMember          // the members of our etcd, without Name; nil = it is not ours
	Logs     Logs
	Has      func(cluster.Unit) bool // this host's agent knows of the unit; nil = nobody asks
	Local    func() Local
	Plan     plan.Options
	Now      func() time.Time
	Metrics  http.Handler
	Registry prometheus.Registerer               // for this package's metrics; nil = none are counted
	Classify func(error) (code int, hint string) // of errors that are not this package's
	Log      *slog.Logger

	LockToken string        // lets FleetLock clients in without a certificate; "" = none does
	LockHold  time.Duration // how long they wait for a drain; 0 = a minute
}

// Server answers the API.
type Server struct {
	opt    Options
	plans  plans
	whatIf sync.Mutex // held while a simulation runs
	events *eventLog

	metrics metrics
	ids     lockIDs
}

// New makes a Server. Run must run for its events to be remembered.
func New(opt Options) *Server {
	return &Server{opt: opt, events: newEventLog(), metrics: newMetrics(opt.Registry)}
}

// Run remembers events until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s.opt.Mirror == nil {
		<-ctx.Done()
		return nil
	}
	return s.followEvents(ctx)
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, Version{Version: s.opt.Version, API: "v1"})
}

// local answers GET /v1/local; with ?host=HOST that host's daemon is asked.
func (s *Server) local(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !q.Has("host") {
		s.answer(w, s.opt.Local())
		return
	}
	s.needMirror(func(w http.ResponseWriter, r *http.Request) {
		h, err := s.findHost(r.Context(), q.Get("host"))
		switch {
		case err != nil:
			s.fail(w, err)
		case h.ID == string(s.opt.Host):
			s.answer(w, s.opt.Local())
		case h.State != HostAlive:
			s.fail(w, Refuse(http.StatusServiceUnavailable, "flotilla explain "+h.Name, "%s is %s", h.Name, h.State))
		default:
			r = r.Clone(r.Context())
			r.URL.RawQuery = ""
			s.proxy(h.Address).ServeHTTP(w, r)
		}
	})(w, r)
}

// answer writes one JSON value.
func (s *Server) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone if this fails
}
