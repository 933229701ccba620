package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
)

// showsToken says whether a request carries the token.
func (s *Server) showsToken(r *http.Request, token string) *LockRefusal {
	if lockToken(r, token) {
		return nil
	}
	return lockRefusal(http.StatusUnauthorized, kindUnauthorized, 0, "show the token of this listener, as a Basic password or as a Bearer")
}

func lockToken(r *http.Request, token string) bool {
	_, shown, ok := r.BasicAuth()
	if !ok {
		if shown, ok = bearer(r); !ok {
			return false
		}
	}
	a, b := sha256.Sum256([]byte(shown)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// bearer is the token of a header "Authorization: Bearer TOKEN".
func bearer(r *http.Request) (string, bool) {
	const scheme = "Bearer "
	h := r.Header.Get("Authorization")
	if len(h) <= len(scheme) || !strings.EqualFold(h[:len(scheme)], scheme) {
		return "", false
	}
	return h[len(scheme):], true
}

// lockFor is the header in which a daemon that passes a request on says for which host its client may speak.
const lockFor = "Flotilla-Lock-For"

// forAll is what it says of one that may speak for all.
const forAll = "all"

// mayLock lets in over the API's listeners who may ask of a host there, and who shows the token of the FleetLock listener. With a
// host's certificate one speaks for that host alone; but a daemon may pass on what somebody asks who may more.
func (s *Server) mayLock(r *http.Request) (only cluster.HostID, _ *LockRefusal) {
	passed := r.Header.Get(lockFor)
	if r.TLS == nil || s.opt.LockToken != "" && lockToken(r, s.opt.LockToken) {
		if passed == forAll {
			passed = ""
		}
		return cluster.HostID(passed), nil
	}
	role, name := s.opt.Peer(r.TLS)
	switch {
	case role == RoleStranger:
		return "", lockRefusal(http.StatusUnauthorized, kindUnauthorized, 0, "show a client certificate of the cluster, or the token of the FleetLock listener")
	case role == RoleHost && s.opt.Removed != nil && s.opt.Removed(r.Context(), cluster.HostID(name)):
		return "", lockRefusal(http.StatusForbidden, kindNotAllowed, 0, "host %s was removed from the cluster (flotilla host restore %[1]s takes it back)", cluster.HostID(name).Short())
	case role == RoleHost && !(r.Header.Get(forwarded) != "" && passed == forAll):
		return cluster.HostID(name), nil
	}
	return "", nil
}

// notYours refuses to speak of a host with a client that may speak for another one alone.
func notYours(h *cluster.Host, only cluster.HostID) *LockRefusal {
	return lockRefusal(http.StatusForbidden, kindNotYours, 0,
		"this client may speak for host %s alone, not for %s: ask on %[2]s itself, or show the token of the FleetLock listener (flotilla agent --fleetlock-token), or an administrator's certificate (flotilla admin-cert)",
		only.Short(), h.Name())
}

// lockAgain is when it is worth asking again after a fault.
const lockAgain = 10 * time.Second

// lockUnavailable says that nothing can be decided here now.
func (s *Server) lockUnavailable(why string) *LockRefusal {
	return lockRefusal(http.StatusServiceUnavailable, kindUnavailable, lockAgain, "%s", s.unusable(why, "").Message)
}

// lockElsewhere has the leader answer: this daemon does not mirror the cluster.
func (s *Server) lockElsewhere(r *http.Request, only cluster.HostID, body []byte) *LockRefusal {
	ctx := r.Context()
	address := ""
	if r.Header.Get(forwarded) == "" {
		s.started(ctx, nil, func() bool {
			_, address = s.opt.Peers.Leader(ctx)
			return address != ""
		})
	}
	if address == "" {
		return s.lockUnavailable("no leader is known to " + s.opt.Name + ", which does not mirror the cluster itself")
	}
	to, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+lockPath(r), bytes.NewReader(body))
	if err != nil {
		return s.lockUnavailable("ask the leader: " + err.Error())
	}
	to.Header.Set(lockHeader, "true")
	to.Header.Set(forwarded, s.opt.Name)
	to.Header.Set(lockFor, cmp.Or(string(only), forAll))
	answer, err := s.opt.Peers.Transport().RoundTrip(to)
	if err != nil {
		return s.lockUnavailable("ask the leader at " + address + ": " + err.Error())
	}
	defer func() { _ = answer.Body.Close() }()
	return s.lockAnswer(answer, address)
}

// lockAnswer is the leader's answer: only 200 is a success, and only a refusal in the protocol's words is passed on.
func (s *Server) lockAnswer(answer *http.Response, address string) *LockRefusal {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	out := &LockRefusal{status: answer.StatusCode}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, lockBody))
	if err != nil || answer.StatusCode < 400 || json.Unmarshal(raw, out) != nil || out.Kind == "" || out.Value == "" {
		return s.lockUnavailable("the leader at " + address + " answers " + answer.Status)
	}
	if after, err := time.ParseDuration(answer.Header.Get("Retry-After") + "s"); err == nil {
		out.after = after
	}
	return out
}

// bootOf asks a host's own daemon which boot it is in. The store may show the one before for a while.
func (s *Server) bootOf(ctx context.Context, h *cluster.Host) (cluster.Boot, bool) {
	if h.ID == s.opt.Host {
		b := s.opt.Local().Boot
		return b, b.ID != ""
	}
	if h.Alive == nil {
		return cluster.Boot{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, bootWait)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.Alive.Address+"/v1/local", nil)
	if err != nil {
		return cluster.Boot{}, false
	}
	answer, err := s.opt.Peers.Transport().RoundTrip(r)
	if err != nil {
		return cluster.Boot{}, false
	}
	defer func() { _ = answer.Body.Close() }()
	var l Local
	if answer.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(answer.Body, lockBody)).Decode(&l) != nil || l.Host != string(h.ID) {
		return cluster.Boot{}, false
	}
	return l.Boot, l.Boot.ID != ""
}

// bootWait is how long a host's daemon may take to say its boot.
const bootWait = 2 * time.Second

// LockLabel is a host's label with an id of FleetLock clients that is neither its machine id nor made of it.
const LockLabel = "fleetlock-id"

// lockIDs remembers what the hosts' machine ids make for Zincati.
type lockIDs struct {
	mu    sync.Mutex
	known map[cluster.HostID]string
}

func (l *lockIDs) of(id cluster.HostID) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out, ok := l.known[id]
	if !ok {
		if l.known == nil {
			l.known = map[cluster.HostID]string{}
		}
		out = zincatiID(id)
		l.known[id] = out
	}
	return out
}

// zincatiApp is Zincati's application id, as its protocol fixes it.
const zincatiApp = "de35106b6ec24688b63afddaa156679b"

// zincatiID is the application-specific id (systemd-id128(1)) that Zincati makes of a machine id; "" of what is none.
func zincatiID(host cluster.HostID) string {
	machine, err := hex.DecodeString(string(host))
	app, _ := hex.DecodeString(zincatiApp)
	if err != nil || len(machine) != 16 {
		return ""
	}
	mac := hmac.New(sha256.New, machine)
	mac.Write(app)
	id := mac.Sum(nil)[:16]
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id)
}

// lockHost is the host of the cluster that a client's id means: its machine id, what Zincati makes of it, or its
// label fleetlock-id. Letters count as they are written.
func (s *Server) lockHost(c *cluster.Snapshot, id string) (*cluster.Host, *LockRefusal) {
	member := func(h *cluster.Host) bool { return known(h) && h.Spec.Removed == nil }
	if h := c.Hosts[cluster.HostID(id)]; h != nil && member(h) {
		return h, nil
	}
	var found *cluster.Host
	for _, h := range c.Hosts {
		if !member(h) || s.ids.of(h.ID) != id && lockAlias(h) != id {
			continue
		}
		if found != nil {
			return nil, lockRefusal(http.StatusBadRequest, kindInvalidID, 0, "the id %.64q means both %s and %s (see their labels %s)", id, min(found.Name(), h.Name()), max(found.Name(), h.Name()), LockLabel)
		}
		found = h
	}
	if found == nil {
		return nil, lockRefusal(http.StatusNotFound, kindUnknownHost, 0,
			"no host of the cluster has the id %.64q: it is no machine id, no id that Zincati makes of one, and no host's label %s (is flotilla-agent up there?)", id, LockLabel)
	}
	return found, nil
}

// lockAlias is a host's label fleetlock-id.
func lockAlias(h *cluster.Host) string {
	if v, ok := h.Spec.Labels[LockLabel]; ok || h.Info == nil {
		return v
	}
	return h.Info.Labels[LockLabel]
}
