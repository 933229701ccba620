package members

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// place decides the host's role and makes room for its etcd member. undo takes that back.
func (j *Joiner) place(ctx context.Context, req JoinRequest, who HostNames) (res JoinResponse, undo func(), err error) {
	nothing := func() {}
	if j.Etcd == nil {
		res, err := j.placeClient(ctx)
		return res, nothing, err
	}
	peer := httpsURL(who.Addresses[0].String(), req.Peer)
	members, err := j.evict(ctx, req.Host, peer.String())
	if err != nil {
		return JoinResponse{}, nil, err
	}
	res = JoinResponse{Role: RoleClient, Endpoints: endpointsOf(members)}
	if !req.WantEtcd || len(members) >= MaxMembers {
		return res, nothing, nil
	}
	if res.MemberID, err = j.Etcd.AddLearner(ctx, peer.String()); err != nil {
		return JoinResponse{}, nil, err
	}
	res.Role = RoleMember
	for _, m := range members {
		res.InitialCluster += m.Name + "=" + m.PeerURL + ","
	}
	res.InitialCluster += req.Host + "=" + peer.String()
	id := res.MemberID
	return res, func() { j.undo(ctx, id) }, nil
}

// MaxCandidates is how many hosts mirror the cluster and may lead where no host runs a
// member of our etcd: enough that some are left, few enough for the etcd.
const MaxCandidates = 5

// placeClient is place beside an etcd that is not ours: the first hosts are candidates.
func (j *Joiner) placeClient(ctx context.Context) (JoinResponse, error) {
	ext, err := share(j.Config.External)
	if err != nil {
		return JoinResponse{}, err
	}
	hosts, err := j.Hosts(ctx)
	if err != nil {
		return JoinResponse{}, fmt.Errorf("count the hosts: %w", err)
	}
	return JoinResponse{Role: RoleClient, External: ext, Candidate: hosts < MaxCandidates}, nil
}

// undo removes a learner whose join was not granted after all.
func (j *Joiner) undo(ctx context.Context, id uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := j.Etcd.RemoveMember(ctx, id); err != nil {
		j.Log.Warn("the learner of a refused join stays until that host joins again", "member", fmt.Sprintf("%x", id), "err", err)
	}
}

// evict removes what an earlier join of the same host left in etcd, and returns the other
// members. A member that answers is no leftover.
func (j *Joiner) evict(ctx context.Context, host, peerURL string) ([]Member, error) {
	members, err := j.Etcd.Members(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.Name != host && m.PeerURL != peerURL {
			continue
		}
		if m.Healthy {
			return nil, later("duplicate-host", fmt.Sprintf("the etcd member of host %s at %s is running", m.Name, m.PeerURL), "run 'flotilla leave' there first")
		}
		if err := j.Etcd.RemoveMember(ctx, m.ID); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(members, func(m Member) bool { return m.Name == host || m.PeerURL == peerURL }), nil
}

func endpointsOf(members []Member) []string {
	var out []string
	for _, m := range members {
		if m.ClientURL != "" {
			out = append(out, m.ClientURL)
		}
	}
	slices.Sort(out)
	return out
}

// share reads the files of an external etcd for another host.
func share(e *ExternalEtcd) (*SharedEtcd, error) {
	if e == nil {
		return nil, errors.New("no etcd is configured")
	}
	out := &SharedEtcd{Endpoints: e.Endpoints, Username: e.Username}
	for _, f := range []struct {
		file string
		to   *string
	}{{e.CA, &out.CA}, {e.Cert, &out.Cert}, {e.Key, &out.Key}, {e.PasswordFile, &out.Password}} {
		if f.file == "" {
			continue
		}
		raw, err := os.ReadFile(f.file)
		if err != nil {
			return nil, fmt.Errorf("read access to the external etcd: %w", err)
		}
		*f.to = string(raw)
	}
	return out, nil
}
