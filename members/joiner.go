package members

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"flotilla/cluster"
)

// MaxMembers is how many hosts run an etcd member; the others are its clients.
const MaxMembers = 3

// Tokens is what the Joiner needs of the store.
type Tokens interface {
	// TokenHash is the stored hash of a token's secret, "" when there is no such token
	// (never was, expired, withdrawn, used).
	TokenHash(ctx context.Context, id string) (string, error)
	// ConsumeToken deletes the token if it still has this hash; false means that it is gone.
	ConsumeToken(ctx context.Context, id, hash string) (bool, error)
}

// Membership is what the Joiner needs of the cluster's etcd; EtcdMembers has it.
type Membership interface {
	Members(ctx context.Context) ([]Member, error)
	AddLearner(ctx context.Context, peerURL string) (uint64, error)
	RemoveMember(ctx context.Context, id uint64) error
}

// Joiner admits hosts and renews their certificates. It works on hosts that have the
// CA's key. One join at a time; several daemons may work at once, because what
// they decide is kept right by etcd.
type Joiner struct {
	Config  Config
	Tokens  Tokens
	Etcd    Membership // nil with an external etcd
	StoreID func(ctx context.Context) (string, error)
	// Alive says whether the agent of a host with this machine id is alive; nil = nobody asks.
	Alive func(ctx context.Context, id cluster.HostID) (bool, error)
	// Hosts counts the hosts that are alive; needed beside an etcd that is not ours.
	Hosts func(ctx context.Context) (int, error)
	// Removed says whether an operator gave a host up: it gets no new certificate. nil = nobody asks.
	// A host that left by itself was not given up.
	Removed func(ctx context.Context, id cluster.HostID) (bool, error)
	// Rejoin ends the removal of a host that left by itself. nil = no host is removed.
	Rejoin func(ctx context.Context, id cluster.HostID) error
	// CheckVersion refuses versions that cannot work with this cluster; nil = all may join.
	CheckVersion func(version string) error
	Now          func() time.Time
	Log          *slog.Logger

	once sync.Once
	turn chan struct{} // of capacity one: one join at a time
}

// enter waits for the turn to change the cluster. It is given back with leave.
func (j *Joiner) enter(ctx context.Context) (leave func(), err error) {
	j.once.Do(func() { j.turn = make(chan struct{}, 1) })
	select {
	case j.turn <- struct{}{}:
		return func() { <-j.turn }, nil
	case <-ctx.Done():
		return nil, later("busy", "another host is just joining", "")
	}
}

// Handle admits a host. The token is consumed last: a join that failed on the way,
// whatever the reason, can be repeated with the same token, and one whose answer
// was lost with a new one.
func (j *Joiner) Handle(ctx context.Context, req JoinRequest, remote string) (JoinResponse, error) {
	who, err := req.check()
	if err != nil {
		return JoinResponse{}, err
	}
	tok, hash, err := j.token(ctx, req.Token)
	if err != nil {
		return JoinResponse{}, err
	}
	ca, err := j.ca()
	if err != nil {
		return JoinResponse{}, err
	}
	if !tok.Pins(ca.Fingerprint()) {
		return JoinResponse{}, errOtherCluster
	}
	if err := j.admissible(ctx, req); err != nil {
		return JoinResponse{}, err
	}
	leave, err := j.enter(ctx) // only who has a token gets that far
	if err != nil {
		return JoinResponse{}, err
	}
	defer leave()
	res, undo, err := j.place(ctx, req, who)
	if err != nil {
		return JoinResponse{}, err
	}
	if err := j.finish(ctx, req, who, ca, &res); err != nil {
		undo()
		return JoinResponse{}, err
	}
	ok, err := j.Tokens.ConsumeToken(ctx, tok.ID, hash)
	if err != nil || !ok {
		undo()
		return JoinResponse{}, cmp.Or(err, unknownToken(tok))
	}
	j.Log.Info("host joined", "host", req.Host, "name", req.Name, "address", who.Addresses[0], "role", res.Role, "remote", remote, "token", tok)
	return res, nil
}

// unknownToken refuses a token that the store does not know, or not any more.
func unknownToken(tok Token) error {
	return refuse(http.StatusForbidden, "token", fmt.Sprintf("%s is not known: it was used, withdrawn or never made here", tok), "make a new one with 'flotilla token' on an etcd member")
}

var (
	errOtherCluster = refuse(http.StatusForbidden, "token", "the token is of another cluster", "make one with 'flotilla token' on a host of this cluster")
	errForeignCA    = errors.New("that host belongs to another cluster than the token")
)

// hostName is what a certificate may vouch for besides addresses.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// check reads what the request says about the host.
func (req JoinRequest) check() (HostNames, error) {
	bad := func(what string) (HostNames, error) {
		return HostNames{}, refuse(http.StatusBadRequest, "bad-request", what, "")
	}
	if _, err := cluster.ParseHostID(req.Host); err != nil {
		return bad(err.Error())
	}
	if !hostName.MatchString(req.Name) {
		return bad(fmt.Sprintf("host name %q is none", req.Name))
	}
	if len(req.Addresses) == 0 || len(req.Addresses) > 16 {
		return bad(fmt.Sprintf("a host has 1 to 16 addresses, not %d", len(req.Addresses)))
	}
	who := HostNames{ID: req.Host, Names: []string{req.Name}}
	for _, text := range req.Addresses {
		a, err := parseAddress(text)
		if err != nil {
			return HostNames{}, err
		}
		who.Addresses = append(who.Addresses, a)
	}
	if req.WantEtcd && (req.Client < 1 || req.Client > 65535 || req.Peer < 1 || req.Peer > 65535) {
		return bad("an etcd member needs its client and peer port")
	}
	if _, err := parseCSR([]byte(req.CSR)); err != nil {
		return bad(err.Error())
	}
	return who, nil
}

// token looks the token up and checks its secret.
func (j *Joiner) token(ctx context.Context, text string) (Token, string, error) {
	tok, err := ParseToken(text)
	if err != nil {
		return Token{}, "", err
	}
	hash, err := j.Tokens.TokenHash(ctx, tok.ID)
	if err != nil {
		return Token{}, "", fmt.Errorf("look up %s: %w", tok, err)
	}
	if hash == "" && j.Now().After(tok.Expires) {
		return Token{}, "", tok.expired()
	}
	if hash == "" || !tok.Verify(hash) {
		return Token{}, "", unknownToken(tok)
	}
	return tok, hash, nil
}

// ca reads the CA, which only hosts with its key can.
func (j *Joiner) ca() (*CA, error) {
	is, err := CanSign(j.Config)
	if err != nil {
		return nil, err
	}
	if !is {
		return nil, refuse(http.StatusMisdirectedRequest, "no-ca-key", "this host cannot sign certificates: it has no CA key", "ask one that has it: "+strings.Join(Signers(j.Config), " "))
	}
	return LoadCA(j.Config.PKI.CA, j.Config.PKI.CAKey, j.Now())
}

// admissible refuses a version that cannot work here, and a machine id that is in use.
func (j *Joiner) admissible(ctx context.Context, req JoinRequest) error {
	if req.Host == j.Config.Host {
		return refuse(http.StatusConflict, "duplicate-host", fmt.Sprintf("machine id %s is that of the host you ask", req.Host), "give this machine its own: remove /etc/machine-id and run systemd-machine-id-setup")
	}
	if j.CheckVersion != nil {
		if err := j.CheckVersion(req.Version); err != nil {
			return refuse(http.StatusConflict, "version", err.Error(), "install the cluster's version of flotilla here")
		}
	}
	if err := j.kept(ctx, req.Host, "may not join"); err != nil {
		return err
	}
	if j.Alive == nil {
		return nil
	}
	alive, err := j.Alive(ctx, cluster.HostID(req.Host))
	if err != nil {
		return fmt.Errorf("look for a host with this machine id: %w", err)
	}
	if alive {
		return later("duplicate-host", fmt.Sprintf("a host with machine id %s is alive in the cluster", req.Host), "if it is this one, stop flotilla-agent here first; if this machine is a copy, remove /etc/machine-id and run systemd-machine-id-setup")
	}
	return nil
}

// kept refuses a host that an operator gave up.
func (j *Joiner) kept(ctx context.Context, host, what string) error {
	if j.Removed == nil {
		return nil
	}
	removed, err := j.Removed(ctx, cluster.HostID(host))
	if err != nil {
		return fmt.Errorf("ask whether host %s was removed: %w", host, err)
	}
	if removed {
		return refuse(http.StatusForbidden, "removed", fmt.Sprintf("host %s was removed from the cluster and %s", host, what), "flotilla host restore "+cluster.HostID(host).Short()+" takes it back")
	}
	return nil
}

// finish signs the certificate and adds what every host gets.
func (j *Joiner) finish(ctx context.Context, req JoinRequest, who HostNames, ca *CA, res *JoinResponse) error {
	cert, err := ca.SignHost([]byte(req.CSR), who, j.Now())
	if err != nil {
		return err
	}
	res.Cert, res.CA = string(cert), string(ca.CertPEM())
	res.Signers = unique(append([]string{j.Config.apiAddress()}, j.Config.Signers...))
	if res.Role == RoleMember || res.Candidate { // else this host would be the only one that can sign
		key, err := ca.KeyPEM()
		if err != nil {
			return err
		}
		res.CAKey = string(key)
	}
	res.Prefix, res.Timing = j.Config.Prefix, j.Config.Timing
	if res.StoreID, err = j.StoreID(ctx); err != nil {
		return fmt.Errorf("read the store's identity: %w", err)
	}
	if j.Rejoin == nil {
		return nil
	}
	if err := j.Rejoin(ctx, cluster.HostID(req.Host)); err != nil {
		return fmt.Errorf("take the host back: %w", err)
	}
	return nil
}
