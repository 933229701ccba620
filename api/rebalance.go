package api

import (
	"context"
	"net/http"
	"slices"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// Rebalance is the body of POST /v1/rebalance.
type Rebalance struct {
	DryRun   bool `json:"dry_run,omitempty"`   // only say what would move
	MaxMoves int  `json:"max_moves,omitempty"` // 0 = as many as it takes
	Fenced   bool `json:"fenced,omitempty"`    // fenced units may move too
}

// Rebalanced is its answer.
type Rebalanced struct {
	Moves []UnitMove `json:"moves"` // fullest host first
}

// UnitMove is a unit that moves, and what became of the wish.
type UnitMove struct {
	plan.Relocation
	Changed bool   `json:"changed"`           // the wish is durable
	Written int64  `json:"written,omitempty"` // revision of the store then: watch from there
	Error   *Error `json:"error,omitempty"`
}

// rebalance answers POST /v1/rebalance. A unit that somebody changes meanwhile is left alone.
func (s *Server) rebalance(w http.ResponseWriter, r *http.Request) {
	var b Rebalance
	if err := decode(w, r, &b); err != nil {
		s.fail(w, err)
		return
	}
	if b.MaxMoves < 0 {
		s.fail(w, Refuse(http.StatusBadRequest, "write a positive number, or 0 for as many as it takes", "max_moves=%d", b.MaxMoves))
		return
	}
	c, err := s.copyOf()
	if err != nil {
		s.fail(w, err)
		return
	}
	out := Rebalanced{Moves: []UnitMove{}}
	for _, m := range plan.Rebalance(c, s.opt.Plan, plan.Balance{Max: b.MaxMoves, Fenced: b.Fenced}, s.opt.Now()) {
		out.Moves = append(out.Moves, UnitMove{Relocation: m})
	}
	if b.DryRun {
		s.answer(w, out)
		return
	}
	for part := range slices.Chunk(out.Moves, atOnce) {
		if err := s.wishMoves(r.Context(), part); err != nil && !out.any() {
			s.fail(w, err)
			return
		}
	}
	s.answer(w, out)
}

// any says that a wish is durable.
func (b Rebalanced) any() bool {
	return slices.ContainsFunc(b.Moves, func(m UnitMove) bool { return m.Changed })
}

// wishMoves makes the wishes durable. It returns the store's error that all of them met.
func (s *Server) wishMoves(ctx context.Context, moves []UnitMove) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	names := make([]cluster.Unit, len(moves))
	for i, m := range moves {
		names[i] = m.Unit
	}
	outcomes := s.opt.Store.EditUnits(ctx, names, func(i int, head *cluster.UnitHead) (Edit, error) {
		return moves[i].edit(head)
	})
	results := make([]Result, len(moves))
	for i, o := range outcomes {
		if o.Err != nil {
			moves[i].Error = s.asError(o.Err)
			results[i].Error = moves[i].Error
			continue
		}
		moves[i].Changed, moves[i].Written = true, o.Revision
	}
	if e := sameEverywhere(results); e != nil {
		return e
	}
	return nil
}

// edit wishes the move into a head that is as it was when the move was chosen. The unit's content, its target
// and who wanted them stay.
func (m UnitMove) edit(head *cluster.UnitHead) (Edit, error) {
	if head == nil || head.Rev != m.Revision {
		return Edit{Keep: true}, Refuse(http.StatusConflict, "run flotilla rebalance again", "%s was changed meanwhile", m.Unit)
	}
	next := head.Spec
	next.Shift = m.Shift()
	return Edit{Spec: &next}, nil
}
