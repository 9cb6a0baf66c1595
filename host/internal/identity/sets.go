package identity

// sets is a union-find over sources. The root of a set is its smallest source.
type sets map[int64]int64

func (s sets) root(x int64) int64 {
	for {
		up, ok := s[x]
		if !ok || up == x {
			return x
		}
		if next, ok := s[up]; ok {
			s[x] = next // halves the way
		}
		x = up
	}
}

func (s sets) join(a, b int64) {
	a, b = s.root(a), s.root(b)
	if a < b {
		s[b] = a
	} else if b < a {
		s[a] = b
	}
}
