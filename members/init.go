package members

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// The services of a host.
const (
	ServiceAgent = "flotilla-agent.service"
	ServiceEtcd  = "flotilla-etcd.service"
)

// ErrMember says that this host belongs to a cluster already.
var ErrMember = errors.New("this host is a member of a cluster already")

// InitOptions says how the first host of a cluster is made.
type InitOptions struct {
	Paths    Paths
	Host     cluster.HostID
	Name     string // host name
	Address  string // "" = found out
	Labels   map[string]string
	Reserve  string        // "" = the default
	Prefix   string        // "" = DefaultPrefix
	External *ExternalEtcd // nil = our own etcd
	Only     string        // "" = units too, OnlyReboots = none
	Lock     string        // address where FleetLock clients are answered; "" = only on the API's
	Ports    Ports
	Starts   bool // its services are started next: ports that are taken are refused
	Now      time.Time
}

// Ports are the ports of a host; zero means the default.
type Ports struct{ API, Client, Peer int }

// apply puts the ports that were given into the configuration.
func (p Ports) apply(c *Config) {
	for _, x := range []struct {
		to   *int
		from int
	}{{&c.APIPort, p.API}, {&c.Etcd.ClientPort, p.Client}, {&c.Etcd.PeerPort, p.Peer}} {
		if x.from != 0 {
			*x.to = x.from
		}
	}
}

// Made is what Init and Join leave for the caller: the host's configuration, and the
// services to start, in this order.
type Made struct {
	Config   Config
	Services []string
	StoreID  string // of the store that the cluster lives in; "" after Init
}

// Init makes this host the first of a new cluster: CA, certificate, configuration. A CA
// that lies there already (from an interrupted Init, or the operator's own) is used.
func Init(ctx context.Context, o InitOptions) (Made, error) {
	if err := notMember(o.Paths); err != nil {
		return Made{}, err
	}
	if err := checkOwn(o.Name, o.Labels); err != nil {
		return Made{}, err
	}
	addr, err := pickAddress(o.Address, localAddress)
	if err != nil {
		return Made{}, err
	}
	c := Defaults(o.Paths)
	c.Host, c.Name, c.Address, c.Labels, c.Reserve = string(o.Host), o.Name, addr.String(), o.Labels, o.Reserve
	if o.Prefix != "" {
		c.Prefix = o.Prefix
	}
	c.Only, c.Reboot.FleetLock.Address = o.Only, o.Lock
	o.Ports.apply(&c)
	if o.External != nil {
		c.External, c.Candidate = o.External, true
	} else {
		peer, client := httpsURL(c.Address, c.Etcd.PeerPort), httpsURL(c.Address, c.Etcd.ClientPort)
		c.Etcd.Member, c.Etcd.InitialState = true, "new"
		c.Etcd.InitialCluster = c.Host + "=" + peer.String()
		c.Endpoints = []string{client.String()}
	}
	if field, what, hint := c.check(); what != "" {
		return Made{}, &Problem{What: field + ": " + what, Hint: hint}
	}
	if o.Starts {
		if err := portsFree(ctx, c, c.Etcd.Member); err != nil {
			return Made{}, err
		}
	}
	if err := firstCertificates(c, addr, o.Now); err != nil {
		return Made{}, err
	}
	if err := c.Save(o.Paths); err != nil {
		return Made{}, err
	}
	return Made{Config: c, Services: c.Services()}, nil
}

// checkOwn refuses what a host may not say of itself: a name that no certificate may vouch
// for, and labels that no unit file could ask for.
func checkOwn(name string, labels map[string]string) error {
	if !hostName.MatchString(name) {
		return &Problem{What: fmt.Sprintf("%q is no name of a host", name), Hint: "--name gives it one of letters, digits and . _ -"}
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		var bad *units.Error
		if errors.As(units.CheckLabel(key, labels[key]), &bad) {
			return &Problem{What: bad.File + ": " + bad.Msg, Hint: bad.Hint}
		}
	}
	return nil
}

// Services are the units that a host with this configuration runs, in starting order.
func (c Config) Services() []string {
	if c.Etcd.Member {
		return []string{ServiceEtcd, ServiceAgent}
	}
	return []string{ServiceAgent}
}

// notMember refuses on a host that is a member, or has data of a cluster.
func notMember(p Paths) error {
	is, err := exists(p.Config())
	if err != nil {
		return fmt.Errorf("look for a configuration: %w", err)
	}
	if is {
		return &Problem{File: p.Config(), What: ErrMember.Error(), Hint: "'systemctl start flotilla-agent' starts it, 'flotilla leave' ends it", Err: ErrMember}
	}
	data := filepath.Join(p.EtcdData(), "member")
	if is, err = exists(data); err != nil {
		return fmt.Errorf("look for data: %w", err)
	}
	if is {
		return &Problem{File: data, What: "holds the etcd of an earlier cluster", Hint: "'flotilla leave --force' moves it aside; or restore " + p.Config()}
	}
	return nil
}

// pickAddress is the address that was asked for, or the one that find finds.
func pickAddress(asked string, find func() (netip.Addr, error)) (netip.Addr, error) {
	if asked != "" {
		return parseAddress(asked)
	}
	return find()
}

// firstCertificates makes CA (unless there is one), key and certificate of the first host.
func firstCertificates(c Config, addr netip.Addr, now time.Time) error {
	ca, err := initCA(c.PKI, now)
	if err != nil {
		return err
	}
	key, err := NewKey()
	if err != nil {
		return err
	}
	csr, err := NewCSR(key, c.Host)
	if err != nil {
		return err
	}
	cert, err := ca.SignHost(csr, HostNames{ID: c.Host, Names: []string{c.Name}, Addresses: []netip.Addr{addr}}, now)
	if err != nil {
		return err
	}
	if err := writeFile(c.PKI.Key, key, modeKey); err != nil {
		return err
	}
	return writeFile(c.PKI.Cert, cert, modePublic)
}

// initCA uses the CA that is there, or makes one. A key without its certificate is what
// an interrupted Save leaves: nothing was signed with it yet.
func initCA(files PKI, now time.Time) (*CA, error) {
	is, err := exists(files.CA)
	if err != nil {
		return nil, fmt.Errorf("look for a CA: %w", err)
	}
	if is {
		return LoadCA(files.CA, files.CAKey, now)
	}
	ca, err := NewCA(now)
	if err != nil {
		return nil, err
	}
	return ca, ca.Save(files.CA, files.CAKey)
}
