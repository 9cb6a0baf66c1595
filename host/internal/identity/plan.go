package identity

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/jackfield/jackfield/store"
)

// plan finds out what becomes of the members of a tenant when sources change. It
// looks at the members that these touch alone.
type plan struct {
	db     database
	tenant int64

	changed map[int64]*source // what changes
	known   map[int64]*source // the sources of all members that are touched, without those that go
	counts  map[int64]int     // of the touched members: sources before
	over    map[name]bool     // claimed by too many
	step    store.MemberStep
}

// source is one as it was and as it will be.
type source struct {
	store.MemberSource // Member as it was, 0 if it is new
	gone, marked       bool
	old, now           map[name]bool
}

func (p *plan) make(ctx context.Context, changes []store.MemberChange) (store.MemberStep, error) {
	if err := p.load(ctx, changes); err != nil {
		return p.step, err
	}
	touched, err := p.touched(ctx)
	if err != nil {
		return p.step, err
	}
	if err := p.loadMembers(ctx, touched); err != nil {
		return p.step, err
	}
	if err := p.findOver(ctx); err != nil {
		return p.step, err
	}
	p.write(p.join())
	return p.step, nil
}

// load reads what is known of the changed sources and takes over what they say now.
func (p *plan) load(ctx context.Context, changes []store.MemberChange) error {
	p.changed, p.known = map[int64]*source{}, map[int64]*source{}
	p.counts, p.over = map[int64]int{}, map[name]bool{}
	sources := make([]store.MemberSource, len(changes))
	ids := make([]int64, len(changes))
	for i, c := range changes {
		sources[i], ids[i] = c.MemberSource, c.Source
		p.changed[c.Source] = &source{MemberSource: c.MemberSource, gone: c.Gone, marked: c.Marked, old: map[name]bool{}, now: map[name]bool{}}
	}
	splits := map[store.Claim]int64{}
	split, err := p.db.SplitsOf(ctx, p.tenant, sources)
	if err != nil {
		return err
	}
	for _, c := range split {
		splits[store.Claim{Source: c.Source, Account: c.Account}] = c.Split
	}
	before, err := p.db.SourcesByID(ctx, ids)
	if err != nil {
		return err
	}
	for _, s := range before {
		p.changed[s.Source].Member = s.Member
	}
	claims, err := p.db.ClaimsOf(ctx, ids)
	if err != nil {
		return err
	}
	for _, c := range claims {
		p.changed[c.Source].old[nameOf(c)] = true
	}
	for _, c := range changes {
		if c.Gone {
			continue
		}
		for _, a := range accounts(c.Data) {
			p.changed[c.Source].now[name{a, splits[store.Claim{Source: c.Source, Account: a}]}] = true
		}
	}
	return nil
}

// touched returns the members that may change: those that the sources were in, and
// those of whoever has a name that one of them gains or loses.
func (p *plan) touched(ctx context.Context) ([]int64, error) {
	members := map[int64]bool{}
	delta := map[name]int{} // how the number of claims changes
	for _, s := range p.changed {
		same := maps.Equal(s.old, s.now)
		if s.Member != 0 && (s.gone || !same) {
			members[s.Member] = true
		}
		for n := range s.old {
			if !s.now[n] {
				delta[n]--
			}
		}
		for n := range s.now {
			if !s.old[n] {
				delta[n] += 1
			}
		}
	}
	claimants, err := p.claimants(ctx, slices.Collect(maps.Keys(delta)))
	if err != nil {
		return nil, err
	}
	var ids []int64
	for n, sources := range claimants {
		before, after := len(sources), len(sources)+delta[n]
		p.over[n] = after > store.MaxClaimants
		if before > store.MaxClaimants && after > store.MaxClaimants {
			continue // it made nobody one, and does not now
		}
		ids = append(ids, sources...)
	}
	for n, d := range delta {
		if _, any := claimants[n]; !any {
			p.over[n] = d > store.MaxClaimants
		}
	}
	sources, err := p.db.SourcesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		members[s.Member] = true
	}
	return slices.Sorted(maps.Keys(members)), nil
}

// claimants returns who has the names now. Of a name that more have than can matter
// it returns a part.
func (p *plan) claimants(ctx context.Context, names []name) (map[name][]int64, error) {
	keys := make([]store.Claim, len(names))
	for i, n := range names {
		keys[i] = n.claim(0)
	}
	claims, err := p.db.Claimants(ctx, p.tenant, keys, store.MaxClaimants+len(p.changed)+1)
	if err != nil {
		return nil, err
	}
	out := map[name][]int64{}
	for _, c := range claims {
		out[nameOf(c)] = append(out[nameOf(c)], c.Source)
	}
	return out, nil
}

// loadMembers reads all sources of the members, and adds the new ones.
func (p *plan) loadMembers(ctx context.Context, members []int64) error {
	sources, err := p.db.SourcesOfMembers(ctx, members)
	if err != nil {
		return err
	}
	var rest []int64
	for _, s := range sources {
		p.counts[s.Member]++
		if p.changed[s.Source] == nil {
			p.known[s.Source] = &source{MemberSource: s, now: map[name]bool{}}
			rest = append(rest, s.Source)
		}
	}
	claims, err := p.db.ClaimsOf(ctx, rest)
	if err != nil {
		return err
	}
	for _, c := range claims {
		p.known[c.Source].now[nameOf(c)] = true
	}
	for id, s := range p.changed {
		if _, is := p.counts[s.Member]; !s.gone && (is || s.Member == 0) {
			p.known[id] = s
		}
	}
	return nil
}

// findOver finds the names that several of the known sources share, and more have
// than can be one person.
func (p *plan) findOver(ctx context.Context) error {
	shared := map[name]int{}
	for _, s := range p.known {
		for n := range s.now {
			shared[n]++
		}
	}
	var ask []name
	for n, count := range shared {
		if _, known := p.over[n]; !known && count > 1 {
			ask = append(ask, n)
		}
	}
	claimants, err := p.claimants(ctx, ask)
	for n, sources := range claimants {
		p.over[n] = len(sources) > store.MaxClaimants
	}
	return err
}

// join returns the sets of sources that are one member.
func (p *plan) join() sets {
	joined := sets{}
	first := map[name]int64{}
	for id, s := range p.known {
		joined.join(id, id)
		for n := range s.now {
			if p.over[n] {
				continue
			}
			if other, ok := first[n]; ok {
				joined.join(id, other)
			} else {
				first[n] = id
			}
		}
	}
	return joined
}

// write says what is different from what is stored.
func (p *plan) write(joined sets) {
	p.step.Members = map[int64]int{}
	after := map[int64]int{}
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		s := p.known[id]
		member := joined.root(id)
		after[member]++
		if _, changed := p.changed[id]; changed || s.Member != member {
			to := s.MemberSource
			to.Member = member
			p.step.Sources = append(p.step.Sources, to)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.changed)) {
		s := p.changed[id]
		if s.gone {
			p.step.Sources = append(p.step.Sources, store.MemberSource{Source: id})
		} else if s.marked {
			p.step.Redone = append(p.step.Redone, id)
		}
		p.claims(s)
	}
	slices.SortFunc(p.step.Added, compareClaims)
	slices.SortFunc(p.step.Removed, compareClaims)
	for member, n := range after {
		if p.counts[member] != n {
			p.step.Members[member] = n
		}
	}
	for member := range p.counts {
		if after[member] == 0 {
			p.step.Members[member] = 0
		}
	}
	p.merges(joined)
}

func (p *plan) claims(s *source) {
	for n := range s.now {
		if !s.old[n] {
			p.step.Added = append(p.step.Added, n.claim(s.Source))
		}
	}
	for n := range s.old {
		if !s.now[n] {
			p.step.Removed = append(p.step.Removed, n.claim(s.Source))
		}
	}
}

func compareClaims(a, b store.Claim) int {
	return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Username, b.Username), cmp.Compare(a.Split, b.Split), cmp.Compare(a.Source, b.Source))
}

// merges logs which members, or sources that were none yet, came to another one.
func (p *plan) merges(joined sets) {
	type part struct{ into, from int64 } // from: the member before; of a new source, itself negated
	parts := map[part][]int64{}
	for _, id := range slices.Sorted(maps.Keys(p.known)) {
		from := p.known[id].Member
		if from == 0 {
			from = -id
		}
		key := part{joined.root(id), from}
		parts[key] = append(parts[key], id)
	}
	for _, key := range slices.SortedFunc(maps.Keys(parts), func(a, b part) int {
		return cmp.Or(cmp.Compare(a.into, b.into), cmp.Compare(parts[a][0], parts[b][0]))
	}) {
		sources := parts[key]
		if sources[0] == key.into {
			continue // the others come to it
		}
		by, ok := p.link(joined, sources)
		if !ok {
			continue
		}
		p.step.Merges = append(p.step.Merges, store.MemberMerge{
			Member: key.into, Merged: sources[0], Sources: sources, Account: by,
		})
	}
}

// link returns the smallest account that the sources share with the rest of their
// member.
func (p *plan) link(joined sets, sources []int64) (store.Account, bool) {
	mine := map[name]bool{}
	for _, id := range sources {
		for n := range p.known[id].now {
			mine[n] = !p.over[n]
		}
	}
	var shared []name
	for id, s := range p.known {
		if joined.root(id) != joined.root(sources[0]) || slices.Contains(sources, id) {
			continue
		}
		for n := range s.now {
			if mine[n] {
				shared = append(shared, n)
			}
		}
	}
	if len(shared) == 0 {
		return store.Account{}, false
	}
	least := slices.MinFunc(shared, func(a, b name) int { return compareClaims(a.claim(0), b.claim(0)) })
	return least.Account, true
}
