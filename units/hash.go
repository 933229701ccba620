package units

import (
	"crypto/sha256"
	"encoding/hex"
)

// Hash names the content of a unit file: the SHA-256 of its raw bytes in hex.
type Hash string

// HashOf returns the hash of raw.
func HashOf(raw []byte) Hash {
	sum := sha256.Sum256(raw)
	return Hash(hex.EncodeToString(sum[:]))
}

// Short returns the first seven digits, as lists show them.
func (h Hash) Short() string { return string(h[:min(len(h), 7)]) }
