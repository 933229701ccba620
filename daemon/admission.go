package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/members"
)

// newJoiner makes what admits hosts, and its client of etcd's membership.
func (d *Daemon) newJoiner() error {
	d.joiner = &members.Joiner{
		Config: d.opt.Config, Tokens: tokens{d}, Now: time.Now, Log: d.log,
		StoreID: func(ctx context.Context) (string, error) {
			id, err := d.store.Identity(ctx)
			return id.ID, err
		},
		Alive: d.store.IsAlive, Removed: d.givenUp, Rejoin: d.store.Rejoin,
		Hosts: func(ctx context.Context) (int, error) {
			alive, err := d.store.Alive(ctx)
			return len(alive), err
		},
		CheckVersion: func(version string) error {
			return store.CheckVersion(version, store.Schema, map[cluster.HostID]string{d.host: d.opt.Version})
		},
	}
	if d.opt.Config.External != nil {
		return nil
	}
	client, err := members.DialEtcd(d.opt.Config, d.identity, d.log)
	if err != nil {
		return err
	}
	d.client = client
	d.members = members.NewEtcdMembers(client)
	d.looks = newLooks(d.members.Look, time.Now)
	d.joiner.Etcd = d.members
	return nil
}

// tokens shows the API and the joiner the store's tokens.
type tokens struct{ d *Daemon }

// NewToken mints a one-time token.
func (t tokens) NewToken(ctx context.Context, ttl time.Duration) (api.Token, error) {
	address, err := t.d.admits(ctx)
	if err != nil {
		return api.Token{}, err
	}
	token, err := members.NewToken(members.FingerprintOf(t.d.identity.CA()), time.Now().Add(ttl))
	if err != nil {
		return api.Token{}, err
	}
	by := cluster.Note{Who: "root@" + t.d.opt.Config.Name, When: time.Now().UTC()}
	if err := t.d.store.CreateToken(ctx, store.Token{ID: token.ID, Digest: token.Hash(), Expires: token.Expires, By: by}, ttl); err != nil {
		return api.Token{}, err
	}
	return api.Token{Token: token.Text(), Address: address, Expires: ttl.String()}, nil
}

// admits is the API address through which a host can join: this host's, if it has the CA's
// key, else that of one that has it, the leader if it is among them.
func (d *Daemon) admits(ctx context.Context) (string, error) {
	c := d.opt.Config
	can, err := members.CanSign(c)
	if err != nil {
		return "", err
	}
	if can {
		return net.JoinHostPort(c.Address, strconv.Itoa(c.APIPort)), nil
	}
	signers := members.Signers(c)
	_, leader := d.Leader(ctx)
	switch {
	case slices.Contains(signers, leader):
		return leader, nil
	case len(signers) > 0:
		return signers[0], nil
	}
	return "", api.Refuse(http.StatusMisdirectedRequest, "run flotilla token on the host that was made with flotilla init", "this host cannot admit others, and knows none that can")
}

// TokenHash is the stored hash of a token's secret, "" without such a token.
func (t tokens) TokenHash(ctx context.Context, id string) (string, error) {
	list, err := t.d.store.Tokens(ctx)
	if err != nil {
		return "", err
	}
	for _, tok := range list {
		if tok.ID == id {
			return tok.Digest, nil
		}
	}
	return "", nil
}

// ConsumeToken uses a token up if its secret still has this hash.
func (t tokens) ConsumeToken(ctx context.Context, id, hash string) (bool, error) {
	_, err := t.d.store.ConsumeToken(ctx, id, func(found store.Token) error {
		if found.Digest != hash {
			return fmt.Errorf("%w: another secret", store.ErrTokenUsed)
		}
		return nil
	})
	if errors.Is(err, store.ErrTokenUsed) {
		return false, nil
	}
	return err == nil, err
}
