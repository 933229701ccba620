package members

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"flotilla/cluster"
)

// JoinOptions says how this host joins a cluster.
type JoinOptions struct {
	Paths    Paths
	Server   string // address of a host that is an etcd member, port optional
	Token    string
	Host     cluster.HostID
	Name     string
	Address  string // "" = the one that the connection to Server leaves from
	Labels   map[string]string
	Reserve  string // "" = the default
	NoEtcd   bool   // never run an etcd member here
	Version  string
	Only     string // "" = units too, OnlyReboots = none
	Lock     string // address where FleetLock clients are answered; "" = only on the API's
	Ports    Ports
	Starts   bool              // its services are started next: ports that are taken are refused
	Patience time.Duration     // how long to ask again when the cluster says "later"; 0 = 2 min
	Progress func(line string) // hears what is waited for; may be nil
	Now      time.Time
}

const (
	defaultPatience = 2 * time.Minute
	dialTimeout     = 5 * time.Second
	answerTimeout   = 20 * time.Second
)

// Join asks a host of a cluster for admission and writes what it gets: key and
// certificates first, the configuration last. Before that last step nothing here is a
// member, and Join may be repeated; after it Join refuses. The key is made here and stays here.
func Join(ctx context.Context, o JoinOptions) (Made, error) {
	if err := notMember(o.Paths); err != nil {
		return Made{}, err
	}
	if err := checkOwn(o.Name, o.Labels); err != nil {
		return Made{}, err
	}
	tok, err := ParseToken(o.Token)
	if err != nil {
		return Made{}, err
	}
	server, err := serverAddress(o.Server)
	if err != nil {
		return Made{}, err
	}
	addr, err := pickAddress(o.Address, func() (netip.Addr, error) { return addressTowards(ctx, server) })
	if err != nil {
		return Made{}, err
	}
	key, err := NewKey()
	if err != nil {
		return Made{}, err
	}
	csr, err := NewCSR(key, string(o.Host))
	if err != nil {
		return Made{}, err
	}
	c := Defaults(o.Paths)
	c.Host, c.Name, c.Address, c.Labels, c.Reserve = string(o.Host), o.Name, addr.String(), o.Labels, o.Reserve
	c.Only, c.Reboot.FleetLock.Address = o.Only, o.Lock
	o.Ports.apply(&c)
	if o.Starts {
		if err := portsFree(ctx, c, !o.NoEtcd); err != nil {
			return Made{}, err
		}
	}
	res, err := o.ask(ctx, server, tok, JoinRequest{
		Token: o.Token, Host: c.Host, Name: c.Name, Addresses: []string{c.Address}, CSR: string(csr),
		Version: o.Version, WantEtcd: !o.NoEtcd, Client: c.Etcd.ClientPort, Peer: c.Etcd.PeerPort,
	})
	if err != nil {
		return Made{}, err
	}
	c.Signers = unique(append([]string{server}, res.Signers...))
	if err := o.take(&c, res, tok, key); err != nil {
		return Made{}, fmt.Errorf("join: %w", err)
	}
	return Made{Config: c, Services: c.Services(), StoreID: res.StoreID}, nil
}

// serverAddress completes and checks the address of the host to ask.
func serverAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = text, strconv.Itoa(DefaultAPIPort)
		if a, aerr := netip.ParseAddr(text); aerr != nil && !hostName.MatchString(text) || aerr == nil && a.Zone() != "" {
			return "", &Problem{What: fmt.Sprintf("%q is no address of a host", text), Hint: "write it like 10.0.0.1 or 10.0.0.1:7117"}
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
		return "", &Problem{What: fmt.Sprintf("%q is no address of a host", text), Hint: "write it like 10.0.0.1 or 10.0.0.1:7117"}
	}
	return net.JoinHostPort(host, port), nil
}

// addressTowards is the local address of a connection to the server.
func addressTowards(ctx context.Context, server string) (netip.Addr, error) {
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return netip.Addr{}, unreachable(server, err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone(""), nil
}

func unreachable(server string, err error) error {
	return &Problem{What: fmt.Sprintf("cannot reach %s: %s", server, err), Hint: "is the address right, flotilla-agent running there, and the port open?", Err: err}
}

// ask posts the request until it is granted, refused for good, or patience ends.
func (o JoinOptions) ask(ctx context.Context, server string, tok Token, req JoinRequest) (JoinResponse, error) {
	patience := o.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	last := ""
	for {
		var res JoinResponse
		err := post(ctx, pinnedTLS(tok.Pins), server, JoinPath, req, &res)
		if err == nil {
			return res, nil
		}
		if errors.Is(err, errForeignCA) {
			return JoinResponse{}, &Problem{What: fmt.Sprintf("%s belongs to another cluster than the token", server), Hint: "use the address of a host of the cluster that made the token"}
		}
		var ref *Refusal
		if !errors.As(err, &ref) {
			if last == "" {
				return JoinResponse{}, unreachable(server, err)
			}
			ref = later("unreachable", unreachable(server, err).Error(), "") // it answered before
		}
		if ref.RetryAfter == 0 {
			return JoinResponse{}, fmt.Errorf("%s refuses: %w", server, ref)
		}
		if ref.Message != last && o.Progress != nil {
			o.Progress("waiting: " + ref.Message)
		}
		last = ref.Message
		if !pause(ctx, ref.RetryAfter) {
			return JoinResponse{}, fmt.Errorf("%s did not admit this host within %s: %w", server, patience, ref)
		}
	}
}

// pause waits, and says whether ctx still holds.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// take checks the answer and writes what makes this host a member.
func (o JoinOptions) take(c *Config, res JoinResponse, tok Token, key []byte) error {
	ca, err := ParseCert([]byte(res.CA))
	if err != nil {
		return fmt.Errorf("answered CA: %w", err)
	}
	if !tok.Pins(FingerprintOf(ca)) {
		return errForeignCA
	}
	if err := checkAnswer(res, ca, key); err != nil {
		return err
	}
	c.Prefix, c.Timing, c.Endpoints = res.Prefix, res.Timing, res.Endpoints
	files := []file{{c.PKI.Key, key, modeKey}, {c.PKI.CA, []byte(res.CA), modePublic}, {c.PKI.Cert, []byte(res.Cert), modePublic}}
	if res.CAKey != "" {
		files = append(files, file{c.PKI.CAKey, []byte(res.CAKey), modeKey})
	}
	if res.Role == RoleMember {
		c.Etcd.Member, c.Etcd.InitialState, c.Etcd.InitialCluster = true, "existing", res.InitialCluster
	}
	c.Candidate = res.Candidate
	if res.External != nil {
		files = append(files, o.external(c, res.External)...)
	}
	for _, f := range files {
		if err := writeFile(f.name, f.data, f.mode); err != nil {
			return err
		}
	}
	return c.Save(o.Paths)
}

// file is one to write.
type file struct {
	name string
	data []byte
	mode fs.FileMode
}

// external turns the shared access into files and configuration.
func (o JoinOptions) external(c *Config, s *SharedEtcd) []file {
	dir := filepath.Join(o.Paths.Etc, "pki")
	c.External = &ExternalEtcd{Endpoints: s.Endpoints, Username: s.Username}
	var files []file
	for _, f := range []struct {
		text, name string
		to         *string
	}{
		{s.CA, "etcd-ca.crt", &c.External.CA},
		{s.Cert, "etcd-client.crt", &c.External.Cert},
		{s.Key, "etcd-client.key", &c.External.Key},
		{s.Password, "etcd-password", &c.External.PasswordFile},
	} {
		if f.text != "" {
			*f.to = filepath.Join(dir, f.name)
			files = append(files, file{*f.to, []byte(f.text), modeKey})
		}
	}
	return files
}

// checkAnswer says whether the certificate is for our key and signed by the CA.
func checkAnswer(res JoinResponse, ca *x509.Certificate, key []byte) error {
	cert, err := ParseCert([]byte(res.Cert))
	if err != nil {
		return fmt.Errorf("answered certificate: %w", err)
	}
	if err := cert.CheckSignatureFrom(ca); err != nil {
		return fmt.Errorf("answered certificate: %w", err)
	}
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	if !k.PublicKey.Equal(cert.PublicKey) {
		return errors.New("answered certificate is for another key")
	}
	return nil
}

// post sends a JSON request over TLS and reads the answer or the Refusal.
func post(ctx context.Context, conf *tls.Config, server, path string, req, res any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	t := &http.Transport{TLSClientConfig: conf, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, DisableKeepAlives: true}
	defer t.CloseIdleConnections()
	a, err := t.RoundTrip(r) // no proxy, no redirect
	if err != nil {
		return err
	}
	defer a.Body.Close()
	d := json.NewDecoder(io.LimitReader(a.Body, 1<<20))
	if a.StatusCode == http.StatusOK {
		return d.Decode(res)
	}
	ref := &Refusal{Status: a.StatusCode}
	if err := d.Decode(ref); err != nil || ref.Message == "" {
		return fmt.Errorf("answer %s is not flotilla's", a.Status)
	}
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && n > 0 {
		ref.RetryAfter = time.Duration(n) * time.Second
	}
	return ref
}
