package api

import (
	"fmt"
	"net/http"
	"strings"

	"flotilla/cluster"
	"flotilla/units"
)

// cluster answers GET /v1/cluster.
func (s *Server) cluster(w http.ResponseWriter, r *http.Request) {
	hosts, _, err := s.hostViews(r.Context())
	if err != nil {
		s.fail(w, err)
		return
	}
	v := Cluster{Hosts: hosts, Local: s.opt.Local(), Notices: s.health(), Etcd: s.etcdMembers(r.Context(), hosts)}
	v.Notices = append(v.Notices, etcdNotices(v)...)
	for i, h := range hosts {
		if !v.Local.StoreOut.IsZero() {
			hosts[i].Leader = false // nobody leads without etcd, whoever did before
		}
		if hosts[i].Leader {
			v.Leader = h.Name
		}
		if len(h.Orphans) > 0 {
			v.Notices = append(v.Notices, fmt.Sprintf("%s runs %s without any order: flotilla start UNIT takes it back, flotilla orphan stop %s UNIT ends it", h.Name, someOf(h.Orphans), h.Name))
		}
		v.Notices = append(v.Notices, closedNotices(h)...)
		if h.State == HostRemoved {
			v.Notices = append(v.Notices, fmt.Sprintf("%s was removed and is alive: flotilla host restore %s takes it back", h.Name, h.Name))
		}
	}
	if v.Leader == "" && v.Local.StoreOut.IsZero() {
		v.Notices = append(v.Notices, "no leader: nothing is placed or moved until one is elected")
	}
	s.opt.Mirror.Read(func(c *cluster.Snapshot) { s.summarise(c, &v) })
	s.answer(w, v)
}

// mostWaiting is how many waiting units a summary names.
const mostWaiting = 1000

// summarise counts units and collects the reasons of those that wait.
func (s *Server) summarise(c *cluster.Snapshot, v *Cluster) {
	v.Revision, v.Store, v.Schema = c.Revision, c.Store.ID, c.Store.Schema
	was := s.plans.at(c, s.opt)
	v.Reboots = was.reboots.summary(s.opt.Now())
	for _, n := range c.UnitNames() {
		head := c.Units[n]
		launched := head != nil && head.Spec.Target == units.Launched
		stands := settled(c, n, was.verdict(c.Units[n], n))
		if launched {
			v.Units++
		}
		if launched && stands.settled && (stands.why == "" || len(c.Placed[n]) > 0) {
			v.Running++
		}
		if stands.settled && stands.why == "" {
			continue
		}
		if v.WaitingUnits++; v.WaitingUnits <= mostWaiting {
			v.Waiting = append(v.Waiting, Waiting{Unit: string(n), Reason: stands.why})
		}
	}
	if was.storm != nil {
		v.Notices = append(v.Notices, was.storm.String())
	}
}

// someOf names the first few of a list.
func someOf(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
