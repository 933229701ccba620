package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"flotilla/cluster/store"
)

func testRangeOrder(e *env) {
	e.commit(e.put("b", "2"), e.put("a/x", "3"), e.put("a", "1"), e.put("c", ""))
	tests := []struct {
		name string
		r    store.Range
		want []string
	}{
		{"prefix", e.all(), []string{"a=1", "a/x=3", "b=2", "c="}},
		{"prefix a", store.Prefix(e.dir + "a"), []string{"a=1", "a/x=3"}},
		{"key a", store.Range{Key: e.dir + "a"}, []string{"a=1"}},
		{"missing key", store.Range{Key: e.dir + "d"}, []string{}},
		{"from a/x before c", store.Range{Key: e.dir + "a/x", End: e.dir + "c"}, []string{"a/x=3", "b=2"}},
		{"empty range", store.Range{Key: e.dir + "c", End: e.dir + "a"}, []string{}},
		{"keys only", store.Range{Key: e.dir + "a", End: e.dir + "b", KeysOnly: true}, []string{"a=", "a/x="}},
	}
	for _, tt := range tests {
		e.same("Range("+tt.name+")", e.show(e.mustRange(tt.r).KVs), tt.want)
	}
	if got := e.mustRange(store.Prefix("")); len(got.KVs) < 4 {
		e.Errorf("Range(everything) = got %d keys, want at least 4", len(got.KVs))
	}
}

func testRangeLimit(e *env) {
	const n = 1000
	for i := 0; i < n; i += store.MaxOps {
		var ops []store.Op
		for k := i; k < min(i+store.MaxOps, n); k++ {
			ops = append(ops, e.put(fmt.Sprintf("%04d", k), "v"))
		}
		e.commit(ops...)
	}
	r := e.all()
	r.Limit = n
	if res := e.mustRange(r); len(res.KVs) != n || res.More {
		e.Errorf("Range(limit %d) = got %d keys, more %v, want all and no more", n, len(res.KVs), res.More)
	}
	// Pages at one revision make the whole, whatever is written in between.
	r.Limit, r.Revision = 300, e.mustRange(r).Revision
	var keys int
	for more := true; more; {
		res := e.mustRange(r)
		for _, kv := range res.KVs {
			if want := fmt.Sprintf("%s%04d", e.dir, keys); kv.Key != want {
				e.Fatalf("Range(page) = got key %s, want %s", kv.Key, want)
			}
			keys++
		}
		e.commit(e.put(fmt.Sprintf("%04dx", keys), "new"))
		more, r.Key = res.More, res.KVs[len(res.KVs)-1].Key+"\x00"
	}
	if keys != n {
		e.Errorf("Range(pages) = got %d keys, want %d", keys, n)
	}
}

func testRangeAtRevision(e *env) {
	r1 := e.commit(e.put("a", "1"), e.put("b", "1"))
	r2 := e.commit(e.put("a", "2"))
	r3 := e.commit(e.del("a"))
	r4 := e.commit(e.put("a", "4"))
	tests := []struct {
		rev  int64
		want []string
	}{
		{r1 - 1, []string{}},
		{r1, []string{"a=1", "b=1"}},
		{r2, []string{"a=2", "b=1"}},
		{r3, []string{"b=1"}},
		{r4, []string{"a=4", "b=1"}},
	}
	for _, tt := range tests {
		r := e.all()
		r.Revision = tt.rev
		res := e.mustRange(r)
		e.same(fmt.Sprintf("Range(revision %d)", tt.rev-r1), e.show(res.KVs), tt.want)
		if res.Revision != tt.rev {
			e.Errorf("Range(revision %d).Revision = got %d", tt.rev, res.Revision)
		}
	}
	if newest := e.mustRange(e.all()); newest.Revision < r4 {
		e.Errorf("Range().Revision = got %d, want at least %d", newest.Revision, r4)
	}
	future := e.all()
	future.Revision = r4 + 1_000_000
	if _, err := e.b.Range(e.ctx, future); err == nil || errors.Is(err, store.ErrCompacted) {
		e.Errorf("Range(future) = got error %v, want one that is not ErrCompacted", err)
	}
}

func testTxnCompare(e *env) {
	created := e.commit(e.put("k", "1"))
	changed := e.commit(e.put("k", "2"))
	key, none := e.dir+"k", e.dir+"none"
	tests := []struct {
		name string
		c    store.Compare
		want bool
	}{
		{"mod", store.Compare{Key: key, Target: store.ModRev, Rev: changed}, true},
		{"old mod", store.Compare{Key: key, Target: store.ModRev, Rev: created}, false},
		{"mod 0 of a key", store.Compare{Key: key, Target: store.ModRev}, false},
		{"mod 0 of none", store.Compare{Key: none, Target: store.ModRev}, true},
		{"mod of none", store.Compare{Key: none, Target: store.ModRev, Rev: changed}, false},
		{"create", store.Compare{Key: key, Target: store.CreateRev, Rev: created}, true},
		{"other create", store.Compare{Key: key, Target: store.CreateRev, Rev: changed}, false},
		{"create 0 of none", store.Compare{Key: none, Target: store.CreateRev}, true},
		{"create 0 of a key", store.Compare{Key: key, Target: store.CreateRev}, false},
		{"value", store.Compare{Key: key, Target: store.Value, Value: []byte("2")}, true},
		{"old value", store.Compare{Key: key, Target: store.Value, Value: []byte("1")}, false},
		{"value of none", store.Compare{Key: none, Target: store.Value}, false},
	}
	for i, tt := range tests {
		mark := fmt.Sprintf("mark%d", i)
		res, err := e.b.Txn(e.ctx, store.Txn{If: []store.Compare{tt.c}, Then: []store.Op{e.put(mark, "")}})
		if err != nil || res.Succeeded != tt.want {
			e.Errorf("Txn(%s) = got %v, %v, want %v", tt.name, res.Succeeded, err, tt.want)
		}
		if wrote := len(e.mustRange(store.Range{Key: e.dir + mark}).KVs) == 1; wrote != tt.want {
			e.Errorf("Txn(%s) wrote = got %v, want %v", tt.name, wrote, tt.want)
		}
	}
	both := []store.Compare{tests[0].c, tests[1].c}
	if res, err := e.b.Txn(e.ctx, store.Txn{If: both, Then: []store.Op{e.put("x", "")}}); err != nil || res.Succeeded {
		e.Errorf("Txn(one true, one false) = got %v, %v, want false", res.Succeeded, err)
	}
}

func testTxnElse(e *env) {
	rev := e.commit(e.put("a", "1"), e.put("b/1", "2"), e.put("b/2", "3"))
	res, err := e.b.Txn(e.ctx, store.Txn{
		If:   []store.Compare{{Key: e.dir + "a", Target: store.ModRev, Rev: 0}},
		Then: []store.Op{e.put("a", "never")},
		Else: []store.Range{{Key: e.dir + "a"}, store.Prefix(e.dir + "b/"), {Key: e.dir + "none"}},
	})
	if err != nil || res.Succeeded || res.Revision < rev || len(res.Else) != 3 {
		e.Fatalf("Txn(false) = got %+v, %v, want 3 ranges at revision %d or later", res, err, rev)
	}
	e.same("Else[0]", e.show(res.Else[0].KVs), []string{"a=1"})
	e.same("Else[1]", e.show(res.Else[1].KVs), []string{"b/1=2", "b/2=3"})
	e.same("Else[2]", e.show(res.Else[2].KVs), []string{})
	for i, r := range res.Else {
		if r.Revision != res.Revision {
			e.Errorf("Else[%d].Revision = got %d, want the transaction's %d", i, r.Revision, res.Revision)
		}
	}
	if got := res.Else[0].KVs[0]; got.ModRev != rev || got.CreateRev != rev {
		e.Errorf("Else[0] revisions = got %d and %d, want %d", got.ModRev, got.CreateRev, rev)
	}
}

func testTxnOneRevision(e *env) {
	e.commit(e.put("gone", ""))
	rev := e.commit(e.put("b", "1"), e.put("a", "2"), e.del("gone"))
	kvs := e.mustRange(e.all()).KVs
	e.same("Range after Txn", e.show(kvs), []string{"a=2", "b=1"})
	for _, kv := range kvs {
		if kv.ModRev != rev {
			e.Errorf("ModRev of %s = got %d, want the transaction's %d", kv.Key, kv.ModRev, rev)
		}
	}
	if next := e.commit(e.put("c", "")); next <= rev {
		e.Errorf("Txn.Revision = got %d after %d, want a later one", next, rev)
	}
}

// A transaction that changes nothing makes no revision: idle means idle.
func testTxnNothing(e *env) {
	rev := e.commit(e.put("a", "1"))
	for name, ops := range map[string][]store.Op{
		"no ops":                   nil,
		"delete of none":           {e.del("none")},
		"delete of a prefix of no": {{Key: e.dir + "none", DeletePrefix: true}},
	} {
		if got := e.commit(ops...); got != rev {
			e.Errorf("Txn(%s).Revision = got %d, want still %d", name, got, rev)
		}
	}
}

func testTxnLimits(e *env) {
	compares := make([]store.Compare, store.MaxCompares+1)
	ops := make([]store.Op, store.MaxOps+1)
	for i := range ops {
		compares[i] = store.Compare{Key: fmt.Sprintf("%sc%d", e.dir, i), Target: store.ModRev}
		ops[i] = e.put(fmt.Sprintf("o%d", i), "v")
	}
	big := e.put("big", strings.Repeat("x", store.MaxBytes))
	tests := []struct {
		name string
		txn  store.Txn
	}{
		{"129 compares", store.Txn{If: compares, Then: ops[:1]}},
		{"129 ops", store.Txn{Then: ops}},
		{"more than 1 MiB", store.Txn{Then: []store.Op{big}}},
	}
	for _, tt := range tests {
		_, err := e.b.Txn(e.ctx, tt.txn)
		e.wantErr("Txn("+tt.name+")", err, store.ErrTooLarge)
	}
	if n := len(e.mustRange(e.all()).KVs); n != 0 {
		e.Errorf("keys after refused transactions = got %d, want 0", n)
	}
	full := store.Txn{If: compares[:store.MaxCompares], Then: ops[:store.MaxOps]}
	spare := store.MaxBytes - full.Bytes()
	full.Then[0].Value = []byte(strings.Repeat("x", spare+1))
	if res, err := e.b.Txn(e.ctx, full); err != nil || !res.Succeeded {
		e.Errorf("Txn(128 compares, 128 ops, 1 MiB) = got %v, %v, want success", res.Succeeded, err)
	}
}

func testTxnDuplicate(e *env) {
	for name, ops := range map[string][]store.Op{
		"put twice":             {e.put("a", "1"), e.put("a", "2")},
		"put and delete":        {e.put("a", "1"), e.del("a")},
		"put and delete prefix": {e.put("a/b", "1"), {Key: e.dir + "a/", DeletePrefix: true}},
	} {
		_, err := e.b.Txn(e.ctx, store.Txn{Then: ops})
		e.wantErr("Txn("+name+")", err, store.ErrDuplicateKey)
	}
	e.commit(e.del("a"), store.Op{Key: e.dir + "a", DeletePrefix: true}) // deleting twice is fine
	if _, err := e.b.Txn(e.ctx, store.Txn{Then: []store.Op{{Value: []byte("v")}}}); err == nil {
		e.Error("Txn(put without a key) = got no error")
	}
}

// A given-up transaction either says that it may have happened or did not happen.
func testTxnGivenUp(e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.b.Txn(ctx, store.Txn{Then: []store.Op{e.put("a", "1")}})
	if err == nil {
		e.Fatal("Txn(ended context) = got no error")
	}
	if n := len(e.mustRange(e.all()).KVs); n != 0 && !errors.Is(err, store.ErrAmbiguous) {
		e.Errorf("Txn(ended context) = got %v, want it to say ambiguous: it happened", err)
	}
	if _, err := e.b.Range(ctx, e.all()); err == nil || errors.Is(err, store.ErrAmbiguous) {
		e.Errorf("Range(ended context) = got error %v, want one that is not ambiguous", err)
	}
}

func testCreateRevision(e *env) {
	get := func() store.KeyValue {
		kvs := e.mustRange(store.Range{Key: e.dir + "k"}).KVs
		if len(kvs) != 1 {
			e.Fatalf("Range(k) = got %d keys, want 1", len(kvs))
		}
		return kvs[0]
	}
	created := e.commit(e.put("k", "1"))
	changed := e.commit(e.put("k", "2"))
	if kv := get(); kv.CreateRev != created || kv.ModRev != changed {
		e.Errorf("revisions after a change = got %d and %d, want %d and %d", kv.CreateRev, kv.ModRev, created, changed)
	}
	e.commit(e.del("k"))
	again := e.commit(e.put("k", "3"))
	if kv := get(); kv.CreateRev != again || kv.ModRev != again {
		e.Errorf("revisions of a new key = got %d and %d, want %d", kv.CreateRev, kv.ModRev, again)
	}
}

func testDeletePrefix(e *env) {
	rev := e.commit(e.put("a", ""), e.put("d/1", ""), e.put("d/2", ""), e.put("d/2/3", ""), e.put("e", ""))
	ch := e.b.Watch(e.ctx, e.dir, rev+1)
	e.commit(store.Op{Key: e.dir + "d/", DeletePrefix: true}, e.put("f", "x"))
	e.same("events of DeletePrefix", e.showEvents(e.collect(ch, count(4)), rev),
		[]string{"1-d/1", "1-d/2", "1-d/2/3", "1+f=x"})
	e.same("keys after DeletePrefix", e.show(e.mustRange(e.all()).KVs), []string{"a=", "e=", "f=x"})
}
