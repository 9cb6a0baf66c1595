package discovery

import "path/filepath"

// keep adds what was approved under a file's name and is staged, where the file
// itself may not run now: a half copied or unapproved file stops nothing. It does so
// for programs, or for folders.
func (s *Scanner) keep(lock Lock, found []Artifact, folders bool) []Artifact {
	runs := map[string]bool{}
	for _, a := range found {
		runs[a.Name] = runs[a.Name] || a.Runnable()
	}
	var kept []Artifact
	for i, a := range found {
		old, ok := s.before(lock, a)
		waits := a.Folder != "" // for its runtime
		if a.Runnable() || waits || !ok || runs[old.Name] || folders != (old.Runtime != "") || lock.rejected(old.Digest) {
			continue
		}
		if !s.revive(&old, found) {
			continue
		}
		old.File, old.Path = a.File, a.Path
		old.Verdict, old.Reason = VerdictKept, "the file was replaced by one that may not run"
		if a.Verdict == VerdictPinned {
			old.Reason = "it was chosen to be used instead of the file"
		}
		found[i].Name = old.Name
		runs[old.Name] = true
		kept = append(kept, old)
	}
	return append(found, kept...)
}

// stay adds the plugins that the lock names and whose files are gone, programs or
// folders, where a removed file stops nothing.
func (s *Scanner) stay(lock Lock, found []Artifact, folders bool) []Artifact {
	if !s.opts.KeepRemoved || s.opts.Trust != TrustLock {
		return found
	}
	here, runs := map[string]bool{}, map[string]bool{}
	for _, a := range found {
		here[a.File] = true
		runs[a.Name] = runs[a.Name] || a.Runnable()
	}
	for _, e := range lock.Plugins {
		if e.File == "" || here[e.File] || runs[e.Name] || folders != (e.Runtime != "") || lock.rejected(e.SHA256) {
			continue
		}
		old := Artifact{
			File: e.File, Path: filepath.Join(s.opts.Dir, e.File), Name: e.Name, Version: e.Version, Digest: e.SHA256, Size: e.Size, Runtime: e.Runtime,
			Verdict: VerdictKept, Reason: "its file was removed, and on_remove: keep has it go on (hint: jackfield plugin remove " + e.Name + " stops it)",
		}
		if s.revive(&old, found) {
			found = append(found, old)
		}
	}
	return found
}

// revive finds the copies of what served before.
func (s *Scanner) revive(old *Artifact, found []Artifact) (ok bool) {
	if old.Runtime == "" {
		old.Staged, ok = s.cas.have(old.Digest)
		return ok
	}
	r, ok := runtimeOf(found, old.Runtime)
	if !ok {
		return false
	}
	old.Staged, old.Program = r.Staged, r.Digest
	old.Folder, ok = s.folders.have(old.Digest)
	return ok
}

// before is what may serve in the place of a.
func (s *Scanner) before(lock Lock, a Artifact) (Artifact, bool) {
	old, ok := s.serving[a.File]
	if s.opts.Trust != TrustLock {
		return old, ok
	}
	entry, approved := lock.ByDigest(old.Digest)
	if !ok || !approved {
		entry, approved = lock.ByFile(a.File)
	}
	return Artifact{Name: entry.Name, Version: entry.Version, Digest: entry.SHA256, Size: entry.Size, Runtime: entry.Runtime}, approved
}
