package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"path"
	"runtime/debug"
	"strings"
)

// document is a bill of materials in the format of CycloneDX 1.6. It holds no time and no
// chance, so that the same program has the same list.
type document struct {
	Format       string      `json:"bomFormat"`
	Spec         string      `json:"specVersion"`
	Serial       string      `json:"serialNumber"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
	Dependencies []dependsOn `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Licenses   []licensed `json:"licenses,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licensed struct {
	License license `json:"license"`
}

type license struct {
	ID string `json:"id"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependsOn struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// module is what a program was made of.
type module struct{ path, version, sum string }

// purl returns the module's package URL.
func (m module) purl() string { return "pkg:golang/" + strings.ToLower(m.path) + "@" + m.version }

// modulesOf returns the modules that the compiler wrote into a program, and the standard
// library, which is one of them.
func modulesOf(info *debug.BuildInfo) (out []module) {
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		out = append(out, module{dep.Path, dep.Version, dep.Sum})
	}
	return append(out, module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")})
}

// listOf returns the list of what is in a program, by the program's own word.
func listOf(program string, of *licenses) ([]byte, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum, err := sumOf(program)
	if err != nil {
		return nil, err
	}
	main := component{
		Type: "application", Name: path.Base(info.Path), Version: info.Main.Version, Hashes: []hash{{"SHA-256", sum}},
		Licenses: []licensed{{license{"Apache-2.0"}}},
	}
	main.Ref = info.Path
	for _, s := range info.Settings {
		main.Properties = append(main.Properties, property{"jackfield:build:" + s.Key, s.Value})
	}
	doc := document{Format: "CycloneDX", Spec: "1.6", Serial: serial(sum), Version: 1, Metadata: metadata{main}}
	needs := dependsOn{Ref: main.Ref}
	for _, m := range modulesOf(info) {
		c := component{Type: "library", Ref: m.purl(), Name: m.path, Version: m.version, PURL: m.purl()}
		if m.sum != "" {
			c.Properties = []property{{"jackfield:go.sum", m.sum}}
		}
		ids, err := of.licensesOf(m)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			c.Licenses = append(c.Licenses, licensed{license{id}})
		}
		doc.Components = append(doc.Components, c)
		needs.DependsOn = append(needs.DependsOn, c.Ref)
	}
	doc.Dependencies = []dependsOn{needs}
	out, err := json.MarshalIndent(doc, "", "  ")
	return append(out, '\n'), err
}

// serial makes a number of the list's own out of what the program is: a UUID of version 8.
func serial(sum string) string {
	h := sha256.Sum256([]byte("list of " + sum))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
