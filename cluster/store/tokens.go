package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"flotilla/cluster"
)

// Token is the store's part of a join token: who may use the secret behind Digest, once.
type Token struct {
	ID      string       `json:"id"`
	Digest  string       `json:"digest"`  // of the secret; the secret itself is never stored
	Expires time.Time    `json:"expires"` // shown; the lease is what ends it
	By      cluster.Note `json:"by"`
}

// ErrTokenUsed says that a token was used, ended or never existed.
var ErrTokenUsed = errors.New("join token is used up, expired or unknown")

// CreateToken stores a token that ends by itself after ttl. ErrConflict when the id is taken.
func (s *Store) CreateToken(ctx context.Context, t Token, ttl time.Duration) error {
	if err := checkPart(t.ID); err != nil {
		return fmt.Errorf("token id: %w", err)
	}
	value, err := encode(t)
	if err != nil {
		return err
	}
	lease, err := s.b.Grant(ctx, ttl)
	if err != nil {
		return fmt.Errorf("create token %s: grant: %w", t.ID, err)
	}
	key := s.keys.token(t.ID)
	res, err := s.commit(ctx, Txn{
		If:   []Compare{{Key: key, Target: CreateRev, Rev: 0}},
		Then: []Op{{Key: key, Value: value, Lease: lease}},
	})
	if err == nil && res.Succeeded {
		return nil
	}
	s.drop(ctx, lease)
	if err != nil {
		return fmt.Errorf("create token %s: %w", t.ID, err)
	}
	return fmt.Errorf("create token %s: %w: it exists already", t.ID, ErrConflict)
}

// ConsumeToken uses a token up: of any number of callers at most one succeeds, the others
// get ErrTokenUsed. check looks at the token first; its error leaves the token as it is.
func (s *Store) ConsumeToken(ctx context.Context, id string, check func(Token) error) (Token, error) {
	if checkPart(id) != nil {
		return Token{}, ErrTokenUsed
	}
	key := s.keys.token(id)
	kv, ok, _, err := s.one(ctx, key)
	if err != nil {
		return Token{}, err
	}
	if !ok {
		return Token{}, ErrTokenUsed
	}
	t, err := decode[Token](kv)
	if err != nil {
		return Token{}, err
	}
	if err := check(t); err != nil {
		return Token{}, err
	}
	res, err := s.commit(ctx, Txn{
		If:   []Compare{{Key: key, Target: ModRev, Rev: kv.ModRev}},
		Then: []Op{{Key: key, Delete: true}},
	})
	if err != nil {
		return Token{}, fmt.Errorf("use token %s: %w", id, err)
	}
	if !res.Succeeded {
		return Token{}, ErrTokenUsed
	}
	s.drop(ctx, kv.Lease)
	return t, nil
}

// Tokens reads all tokens that can still be used, in the order of their ids.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	var out []Token
	_, err := s.scan(ctx, Prefix(s.keys.tokens()), func(kv KeyValue) error {
		t, err := decode[Token](kv)
		out = append(out, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
