package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"time"

	"flotilla/cluster"
)

// The two operations of the FleetLock protocol, as its clients join them to their base URL.
const (
	preRebootPath   = "/v1/pre-reboot"   // lock, or lock again
	steadyStatePath = "/v1/steady-state" // unlock what is locked
	lockHeader      = "Fleet-Lock-Protocol"
)

// Bounds of one request: what a body may have in bytes, how long it may take to come, and how long
// a client is kept waiting for a drain or for the checks after a boot. Clients give up after 30 minutes.
const (
	lockBody     = 64 << 10
	lockBodyWait = 10 * time.Second
	lockHold     = time.Minute
)

// The kinds of refusals. They are few because clients make labels of metrics of them.
const (
	kindInvalidHeader = "invalid_header"
	kindInvalidBody   = "invalid_body"
	kindInvalidGroup  = "invalid_group"
	kindInvalidID     = "invalid_id"
	kindTooLarge      = "body_too_large"
	kindUnknownHost   = "unknown_host"
	kindNoResource    = "unknown_resource"
	kindNoMethod      = "invalid_method"
	kindUnauthorized  = "unauthorized"
	kindNotAllowed    = "not_allowed"
	kindNotYours      = "not_your_host"
	kindDraining      = "drain_in_progress"
	kindBlocked       = "drain_blocked"
	kindFull          = "slots_full"
	kindWindow        = "outside_window"
	kindFrozen        = "frozen"
	kindHealth        = "health_gate"
	kindBudget        = "disruption_budget"
	kindOther         = "reboot_underway"
	kindLoop          = "loop"
	kindUnhealthy     = "not_healthy"
	kindUnavailable   = "store_unavailable"
)

// LockRefusal is FleetLock's one body of every answer but a success.
type LockRefusal struct {
	Kind  string `json:"kind"`  // a word for programs
	Value string `json:"value"` // a sentence for a person

	status int
	after  time.Duration // when it is worth asking again; 0 = not said
}

// Error is the sentence with its kind.
func (e *LockRefusal) Error() string { return e.Value + " (" + e.Kind + ")" }

func lockRefusal(status int, kind string, after time.Duration, format string, args ...any) *LockRefusal {
	return &LockRefusal{Kind: kind, Value: oneLine(fmt.Sprintf(format, args...)), status: status, after: after}
}

// lockAsk is a request of a client, checked.
type lockAsk struct {
	id, group string
	by        string         // the client's address
	only      cluster.HostID // the one host that the client may speak for; "" = all
}

// mayAsk says whether a client may ask, and for which host; "" = for all.
type mayAsk func(*http.Request) (only cluster.HostID, _ *LockRefusal)

// FleetLock answers clients of the FleetLock protocol and nothing else, on a listener of its own. With a
// token they must show it, as a Basic password or as a Bearer, and may speak for all hosts. Without one anybody on this host
// is a client, and speaks for this host alone.
func (s *Server) FleetLock(token string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fleetLock(w, r, func(r *http.Request) (cluster.HostID, *LockRefusal) {
			if token == "" {
				return s.opt.Host, nil
			}
			return "", s.showsToken(r, token)
		})
	})
}

// withFleetLock takes FleetLock's requests out of those to the API: by their path, however it is
// written, for a redirect would make a GET of them; and by their header, so that all that a
// client of the protocol gets is in the protocol's words.
func (s *Server) withFleetLock(rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := lockPath(r); {
		case p == preRebootPath, p == steadyStatePath, r.Header.Get(lockHeader) != "":
			s.fleetLock(w, r, s.mayLock)
		default:
			rest.ServeHTTP(w, r)
		}
	})
}

// lockPath is a request's path without empty parts.
func lockPath(r *http.Request) string { return path.Clean("/" + r.URL.Path) }

// fleetLock answers one request, whatever it is.
func (s *Server) fleetLock(w http.ResponseWriter, r *http.Request, may mayAsk) {
	operation, refusal := s.lock(w, r, may)
	s.metrics.locked(operation, refusal, r.Header.Get(forwarded) != "")
	w.Header().Set("Content-Type", "application/json")
	if refusal == nil {
		_, _ = io.WriteString(w, "{}\n") // the client is gone if this fails
		return
	}
	if refusal.after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(refusal.after.Round(time.Second)/time.Second)))
	}
	w.WriteHeader(refusal.status)
	_ = json.NewEncoder(w).Encode(refusal) // as above
}

// lock checks a request and carries it out. The operation is "" for what is none.
func (s *Server) lock(w http.ResponseWriter, r *http.Request, may mayAsk) (operation string, _ *LockRefusal) {
	run := s.preReboot
	switch lockPath(r) {
	case preRebootPath:
		operation = "pre-reboot"
	case steadyStatePath:
		operation, run = "steady-state", s.steadyState
	default:
		return "", lockRefusal(http.StatusNotFound, kindNoResource, 0, "no such resource: %s (there are %s and %s)", r.URL.Path, preRebootPath, steadyStatePath)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return operation, lockRefusal(http.StatusMethodNotAllowed, kindNoMethod, 0, "%s %s: use POST", r.Method, r.URL.Path)
	}
	only, refusal := may(r)
	if refusal != nil {
		if refusal.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="flotilla"`)
		}
		return operation, refusal
	}
	if r.Header.Get(lockHeader) != "true" {
		return operation, lockRefusal(http.StatusBadRequest, kindInvalidHeader, 0, "the header fleet-lock-protocol must be true")
	}
	raw, refusal := lockContent(w, r)
	if refusal != nil {
		return operation, refusal
	}
	ask, refusal := parseLock(raw)
	if refusal != nil {
		return operation, refusal
	}
	ask.by, ask.only = r.RemoteAddr, only
	if s.opt.Mirror == nil {
		return operation, s.lockElsewhere(r, only, raw)
	}
	if !s.loaded(r.Context()) {
		return operation, s.lockUnavailable("the store is not loaded yet")
	}
	return operation, run(r.Context(), ask)
}

// lockContent reads a body. Slow clients do not hold a connection for ever.
func lockContent(w http.ResponseWriter, r *http.Request) ([]byte, *LockRefusal) {
	limits := http.NewResponseController(w)
	_ = limits.SetReadDeadline(time.Now().Add(lockBodyWait)) // not every connection has one
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, lockBody))
	_ = limits.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, lockRefusal(http.StatusRequestEntityTooLarge, kindTooLarge, 0, "the body has more than %d bytes", lockBody)
	case err != nil:
		return nil, lockRefusal(http.StatusBadRequest, kindInvalidBody, 0, "read the body: %v", err)
	}
	return raw, nil
}

// groupPattern is what the protocol says of a group.
var groupPattern = regexp.MustCompile(`^[a-zA-Z0-9.-]+$`)

// parseLock reads {"client_params":{"id":…,"group":…}}, in any order and form. Other fields are ignored, for
// a later protocol may have them; text after the value is not.
func parseLock(raw []byte) (lockAsk, *LockRefusal) {
	bad := func(format string, args ...any) (lockAsk, *LockRefusal) {
		return lockAsk{}, lockRefusal(http.StatusBadRequest, kindInvalidBody, 0, format, args...)
	}
	var body, params map[string]json.RawMessage // maps, for the names of fields are exact
	if err := json.Unmarshal(raw, &body); err != nil {
		return bad("the body is not one JSON object: %v", err)
	}
	if err := json.Unmarshal(body["client_params"], &params); err != nil || params == nil {
		return bad("the body has no object client_params")
	}
	id, group := lockText(params["id"]), lockText(params["group"])
	if id == "" {
		return lockAsk{}, lockRefusal(http.StatusBadRequest, kindInvalidID, 0, "client_params.id must be a text that is not empty")
	}
	if !groupPattern.MatchString(group) {
		return lockAsk{}, lockRefusal(http.StatusBadRequest, kindInvalidGroup, 0, "client_params.group must be a text of letters, digits, dots and dashes")
	}
	return lockAsk{id: id, group: group}, nil
}

// lockText is a JSON text, "" for what is none.
func lockText(raw json.RawMessage) (out string) {
	if json.Unmarshal(raw, &out) != nil {
		return ""
	}
	return out
}

// lockTick is how often a client that waits is looked at without a change of the cluster: time alone
// can end what it waits for.
const lockTick = time.Second

// untilAnswered calls look now, at every change of the cluster and every lockTick, until it says that it is done.
// late says so when the client has waited for as long as it may; once it has hung up nobody hears the answer.
func (s *Server) untilAnswered(ctx context.Context, look func(late bool) (done bool, _ *LockRefusal)) *LockRefusal {
	hold := s.opt.LockHold
	if hold == 0 {
		hold = lockHold
	}
	limit := time.NewTimer(hold)
	defer limit.Stop()
	tick := time.NewTicker(lockTick)
	defer tick.Stop()
	wake, stop := s.opt.Mirror.Subscribe()
	defer stop()
	for late := false; ; {
		switch done, refusal := look(late); {
		case done:
			return refusal
		case late && refusal == nil: // nothing but done is a success
			return s.lockUnavailable("the cluster changes too fast to decide")
		case late:
			return refusal
		}
		select {
		case <-wake:
		case <-tick.C:
		case <-limit.C:
			late = true
		case <-ctx.Done():
			return lockRefusal(http.StatusServiceUnavailable, kindDraining, 0, "the client hung up; what it asked for goes on")
		}
	}
}
