package discovery

import "fmt"

// dedupe lets one file serve each plugin: the one that does so already, else
// the first by name. Of the versions in one folder it is the newest.
func (s *Scanner) dedupe(found []Artifact) {
	first := map[string]int{}
	for i, a := range found {
		if !a.Runnable() {
			continue
		}
		if j, ok := first[a.Name]; !ok || s.precedes(a, found[j]) {
			first[a.Name] = i
		}
	}
	for i, a := range found {
		if !a.Runnable() || first[a.Name] == i {
			continue
		}
		winner := found[first[a.Name]]
		why := fmt.Sprintf("plugin %s is served by %s already (hint: remove %s or %s)", a.Name, winner.Path, winner.Path, a.Path)
		if a.Digest == winner.Digest {
			why = fmt.Sprintf("the same program as %s (hint: remove %s)", winner.Path, a.Path)
		}
		found[i] = a.judge(VerdictDuplicate, why)
	}
}

// precedes reports whether a serves its plugin rather than b.
func (s *Scanner) precedes(a, b Artifact) bool {
	if Siblings(a.File, b.File) && a.File != b.File {
		return compareVersions(a.Version, b.Version) > 0
	}
	return a.File == s.winners[a.Name] && b.File != a.File
}
