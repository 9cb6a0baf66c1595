package discovery

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// The files of a package that are about it, not of it.
const (
	packageFile   = "plugin.yaml"
	sumsFile      = "SHA256SUMS"
	signatureFile = sumsFile + signatureExt
)

// The bounds of a package. Whatever is over them is refused before it is read.
const (
	maxPackageFile  = 64 << 10
	maxSumsFile     = 4 << 20
	maxFiles        = 10_000
	maxPackageBytes = 1 << 30
	maxDepth        = 16
	maxPathLength   = 240
)

// parcel is a package that was read: a folder of the plugin directory, or what was
// unpacked of an archive there.
type parcel struct {
	root  *os.Root
	path  string // of root
	desc  description
	files []member // by path
	sums  []byte   // SHA256SUMS as it was read; nil if there is none
}

// errNoPackage is a folder without plugin.yaml.
var errNoPackage = errors.New("no plugin.yaml in it")

// badPackage is a package that no waiting mends.
func badPackage(reason, hint string) error {
	return &UnfitError{Verdict: VerdictBadPackage, Reason: reason, Hint: hint}
}

// openParcel reads a package without following anything out of it. Its error is
// errNoPackage or an *UnfitError. The caller closes the root.
func (s *Scanner) openParcel(root *os.Root, place string) (parcel, error) {
	p := parcel{root: root, path: place}
	body, err := readBounded(root, packageFile, maxPackageFile)
	if errors.Is(err, fs.ErrNotExist) {
		return p, errNoPackage
	}
	if err != nil {
		return p, err
	}
	if p.desc, err = parseDescription(body, s.opts.Host); err != nil {
		return p, err
	}
	if p.files, err = s.list(root, place); err != nil {
		return p, err
	}
	p.sums, err = readBounded(root, sumsFile, maxSumsFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.sums = nil
		if p.desc.Runtime == "" {
			return p, badPackage("it has no "+sumsFile, "sha256sum its files, plugin.yaml too, into "+sumsFile)
		}
		return p, nil
	case err != nil:
		return p, err
	default:
		return p, checkSums(p.sums, p.files)
	}
}

// readBounded reads a regular file of at most limit bytes.
func readBounded(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err //nolint:wrapcheck // told apart by the caller, or explained below
	}
	if !info.Mode().IsRegular() {
		return nil, badPackage(name+" is no regular file", "")
	}
	if info.Size() > limit {
		return nil, badPackage(fmt.Sprintf("%s has %d bytes, more than %d", name, info.Size(), limit), "")
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, &UnfitError{Verdict: VerdictRefused, Reason: name + " cannot be read: " + cause(err)}
	}
	defer f.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, &UnfitError{Verdict: VerdictRefused, Reason: name + " cannot be read: " + cause(err)}
	}
	return body, nil
}

// goodPath reports a path that is written one way only and stays in the package.
func goodPath(name string) bool {
	return name != "" && name != "." && len(name) <= maxPathLength && path.Clean(name) == name && filepath.IsLocal(name) &&
		!strings.ContainsAny(name, "\\\x00\r\n") && strings.Count(name, "/") < maxDepth
}

// platform is this machine in the words of plugin.yaml.
func platform() string { return runtime.GOOS + "_" + runtime.GOARCH }

// examineFolder decides about a folder of the plugin directory.
func (s *Scanner) examineFolder(root *os.Root, lock Lock, a Artifact) Artifact {
	folder, err := root.OpenRoot(a.File)
	if err != nil {
		return a.judge(VerdictRefused, "cannot be read: "+cause(err))
	}
	defer folder.Close() //nolint:errcheck // read only
	a.Size = 0
	return s.judgeParcel(a, lock, folder, a.Path)
}

// examineArchive decides about a .tar.gz: what is in it, once it is unpacked.
func (s *Scanner) examineArchive(a Artifact, lock Lock, f *os.File) Artifact {
	info, err := f.Stat()
	if err != nil {
		return a.judge(VerdictRefused, "cannot be read: "+cause(err))
	}
	if why := s.tooOpen(info, a.Path); why != "" {
		return a.judge(VerdictRefused, why)
	}
	if info.Size() > maxPackageBytes {
		return a.unfit(badPackage(fmt.Sprintf("it has more than %d bytes", maxPackageBytes), ""))
	}
	sum, err := s.digest(a.Path, f, info)
	if err != nil {
		return a.judge(VerdictIncomplete, err.Error())
	}
	place, err := s.unpacked(sum, f)
	if err != nil {
		return a.unfit(err)
	}
	s.unpacks[sum] = true
	folder, err := os.OpenRoot(place)
	if err != nil {
		return a.judge(VerdictRefused, "cannot be read: "+cause(err))
	}
	defer folder.Close() //nolint:errcheck // read only
	return s.judgeParcel(a, lock, folder, place)
}

// judgeParcel decides about a package.
func (s *Scanner) judgeParcel(a Artifact, lock Lock, root *os.Root, place string) Artifact {
	p, err := s.openParcel(root, place)
	if p.desc.Name != "" {
		a.Name, a.Version = p.desc.Name, p.desc.Version
	}
	switch {
	case errors.Is(err, errNoPackage) && a.archive():
		return a.judge(VerdictIgnored, "an archive without plugin.yaml")
	case errors.Is(err, errNoPackage):
		return a.judge(VerdictIgnored, "a directory without plugin.yaml")
	case err != nil:
		return a.unfit(err)
	}
	c := consent{digest: p.digest(), changed: p.changed(), signed: func() error { return p.signed(s.opts.Keys) }}
	for _, m := range p.files {
		a.Size += m.size
	}
	if p.desc.Runtime != "" {
		a.Runtime = p.desc.Runtime
		c.stage = func(a *Artifact) (err error) {
			a.Folder, err = s.folders.keep(p)
			return err
		}
		return s.decide(a, lock, c)
	}
	f, m, err := p.executable(a)
	if err != nil {
		return a.unfit(err)
	}
	defer f.Close() //nolint:errcheck // read only
	c.digest = m.digest
	c.stage = func(a *Artifact) (err error) {
		a.Staged, err = s.cas.stage(f, m.digest)
		return err
	}
	return s.decide(a, lock, c)
}

// executable opens the program for this machine.
func (p parcel) executable(a Artifact) (*os.File, member, error) {
	name, ok := p.desc.Executables[platform()]
	if !ok {
		return nil, member{}, &UnfitError{Verdict: VerdictWrongArch, Reason: "the package has no program for " + platform(), Hint: "build one and name it in " + packageFile}
	}
	m, ok := find(p.files, name)
	if !ok {
		return nil, member{}, &UnfitError{Verdict: VerdictIncomplete, Reason: "its program " + name + " is missing", Hint: "copy the package again"}
	}
	f, err := p.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, m, &UnfitError{Verdict: VerdictRefused, Reason: name + " cannot be read: " + cause(err)}
	}
	info, err := f.Stat()
	if err == nil {
		err = executable(info, filepath.Join(a.Path, filepath.FromSlash(name)))
	}
	if err == nil {
		err = inspect(f, info.Size())
	}
	if err != nil {
		_ = f.Close() // read only
		return nil, m, err
	}
	return f, m, nil
}

// changed is when a file of the package last changed, as its files say.
func (p parcel) changed() (at time.Time) {
	for _, m := range p.files {
		if m.modified.After(at) {
			at = m.modified
		}
	}
	return at
}

// cause is the reason of an error of a path, without the path.
func cause(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}
