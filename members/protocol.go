package members

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The paths of this package's handler on the API's TLS listener.
const (
	JoinPath  = "/v1/join"
	RenewPath = "/v1/renew"
)

// JoinRequest is what a host asks with. It is sent only to a server whose CA the token pins.
type JoinRequest struct {
	Token     string   `json:"token"`
	Host      string   `json:"host"` // machine id
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"` // the first is the one the others use
	CSR       string   `json:"csr"`       // PEM
	Version   string   `json:"version"`
	WantEtcd  bool     `json:"want_etcd"`
	Client    int      `json:"client_port"`
	Peer      int      `json:"peer_port"`
}

// The roles of a host.
const (
	RoleMember = "etcd-member"
	RoleClient = "client"
)

// JoinResponse is all that a host needs to be one of the cluster.
type JoinResponse struct {
	Role           string      `json:"role"`
	Cert           string      `json:"cert"` // PEM
	CA             string      `json:"ca"`   // PEM
	CAKey          string      `json:"ca_key,omitempty"`
	Signers        []string    `json:"signers,omitempty"` // API addresses of hosts with the CA's key
	Endpoints      []string    `json:"endpoints,omitempty"`
	InitialCluster string      `json:"initial_cluster,omitempty"`
	MemberID       uint64      `json:"member_id,omitempty,string"`
	External       *SharedEtcd `json:"external_etcd,omitempty"`
	Candidate      bool        `json:"candidate,omitempty"`
	Prefix         string      `json:"prefix"`
	Timing         Timing      `json:"timing"`
	StoreID        string      `json:"store_id"`
}

// SharedEtcd is an ExternalEtcd with the contents of its files.
type SharedEtcd struct {
	Endpoints []string `json:"endpoints"`
	CA        string   `json:"ca,omitempty"`
	Cert      string   `json:"cert,omitempty"`
	Key       string   `json:"key,omitempty"`
	Username  string   `json:"username,omitempty"`
	Password  string   `json:"password,omitempty"`
}

// RenewRequest asks for a new certificate with the same names, for the key of the request.
type RenewRequest struct {
	CSR string `json:"csr"`
}

// RenewResponse carries it.
type RenewResponse struct {
	Cert string `json:"cert"`
	CA   string `json:"ca"`
}

// Refusal is an answer of the cluster that is not a yes. With RetryAfter the same
// question may be granted later; without, something must be mended first.
type Refusal struct {
	Status     int           `json:"-"` // of HTTP
	Code       string        `json:"code"`
	Message    string        `json:"message"`
	Hint       string        `json:"hint,omitempty"`
	RetryAfter time.Duration `json:"-"` // in the header of the same name
}

// Error is the message with its remedy, in one line.
func (r *Refusal) Error() string {
	if r.Hint == "" {
		return oneLine(r.Message)
	}
	return oneLine(r.Message) + " (" + oneLine(r.Hint) + ")"
}

// retryIn is how long a host waits before it asks again.
const retryIn = time.Second

// later is a refusal that time mends.
func later(code, message, hint string) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Code: code, Message: message, Hint: hint, RetryAfter: retryIn}
}

// refuse is a refusal that somebody must mend.
func refuse(status int, code, message, hint string) *Refusal {
	return &Refusal{Status: status, Code: code, Message: message, Hint: hint}
}

// asRefusal makes any error one.
func asRefusal(err error) *Refusal {
	var r *Refusal
	var p *Problem
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &p):
		return refuse(http.StatusBadRequest, "bad-request", p.What, p.Hint)
	case errors.Is(err, ErrLearner):
		return later("busy", err.Error(), "it takes some seconds; if it does not end, remove that host: 'flotilla host remove'")
	case errors.Is(err, ErrQuorum):
		return later("no-quorum", err.Error(), "if it does not end, start the etcd members that are away: 'flotilla status'")
	}
	return later("unavailable", fmt.Sprintf("the cluster cannot answer now: %s", oneLine(err.Error())), "see 'flotilla status' there")
}
