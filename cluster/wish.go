package cluster

// WishServed is the newest wish that the host's grant, or one before it, serves or served; 0 without one.
func (h *Host) WishServed() int64 {
	if h.Grant == nil {
		return 0
	}
	return h.Grant.Wish
}

// WishIsNew says that a reboot was asked for which no grant has taken up yet.
func (h *Host) WishIsNew() bool { return h.Spec.Reboot != nil && h.Spec.Reboot.ID > h.WishServed() }

// WishStands says that what was asked for will give the host a slot: it is new, or it could not be done and is tried
// again. While a grant that serves it holds its slot it does not, nor does one of a client that did not use its grant, or
// gave it back: a client that still wants to asks again, and that is another wish.
func (h *Host) WishStands() bool {
	wish, g := h.Spec.Reboot, h.Grant
	if wish == nil || g == nil || wish.ID > g.Wish {
		return wish != nil
	}
	again := g.Phase == PhaseBlocked || g.Phase == PhaseAbandoned && !(g.External && g.Pause > 0)
	return wish.ID == g.Wish && !g.Need && again && !h.Unlocked()
}

// WishUnderWay says that the host holds a slot for what was asked for.
func (h *Host) WishUnderWay() bool {
	wish, g := h.Spec.Reboot, h.Grant
	return wish != nil && g != nil && g.Phase.Holds() && g.Wish == wish.ID && !g.Need
}

// Unlocked says that a person ended the host's grant, whatever became of the host.
func (h *Host) Unlocked() bool {
	u := h.Spec.Unlock
	switch {
	case u == nil:
		return false
	case h.GrantBad != "":
		return u.Generation == h.GrantRev
	}
	return h.Grant != nil && u.Generation == h.Grant.Generation
}
