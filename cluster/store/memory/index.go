package memory

import (
	"slices"
	"strings"
)

// blockSize bounds a block of the index: large enough that the list of blocks stays
// short with a million keys, small enough that an insertion moves little.
const blockSize = 512

// index holds entries in the order of their keys, in blocks that are never empty.
type index struct {
	blocks [][]*entry
}

func byKey(e *entry, key string) int { return strings.Compare(e.key, key) }

// block returns the number of the block that a key belongs in.
func (x *index) block(key string) int {
	n, found := slices.BinarySearchFunc(x.blocks, key, func(b []*entry, key string) int {
		return strings.Compare(b[0].key, key)
	})
	if found || n == 0 {
		return n
	}
	return n - 1
}

func (x *index) insert(e *entry) {
	if len(x.blocks) == 0 {
		x.blocks = [][]*entry{{e}}
		return
	}
	n := x.block(e.key)
	b := x.blocks[n]
	i, _ := slices.BinarySearchFunc(b, e.key, byKey)
	b = slices.Insert(b, i, e)
	x.blocks[n] = b
	if len(b) <= blockSize {
		return
	}
	half := len(b) / 2
	x.blocks[n] = slices.Clone(b[:half])
	x.blocks = slices.Insert(x.blocks, n+1, slices.Clone(b[half:]))
}

func (x *index) remove(key string) {
	if len(x.blocks) == 0 {
		return
	}
	n := x.block(key)
	i, found := slices.BinarySearchFunc(x.blocks[n], key, byKey)
	if !found {
		return
	}
	x.blocks[n] = slices.Delete(x.blocks[n], i, i+1)
	if len(x.blocks[n]) == 0 {
		x.blocks = slices.Delete(x.blocks, n, n+1)
	}
}

// ascend calls f for the entries from key on, until f returns false.
func (x *index) ascend(key string, f func(*entry) bool) {
	if len(x.blocks) == 0 {
		return
	}
	n := x.block(key)
	i, _ := slices.BinarySearchFunc(x.blocks[n], key, byKey)
	for ; n < len(x.blocks); n, i = n+1, 0 {
		for _, e := range x.blocks[n][i:] {
			if !f(e) {
				return
			}
		}
	}
}
