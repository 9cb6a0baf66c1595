package main

import (
	"encoding/json"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/jackfield/jackfield/sdk"
)

// branch is a stream's data.
type branch struct {
	Path   string `json:"path"`
	Branch string `json:"branch"`
}

// cursor says that all that head reaches is imported.
type cursor struct {
	V       int    `json:"v"`
	Head    string `json:"head"`
	Shallow string `json:"shallow,omitempty"` // repo.shallowID at the time
}

// position is where a walk of a branch is: a page token and a checkpoint.
type position struct {
	V       int    `json:"v"`
	Head    string `json:"head"`           // what the cursor will be
	Base    string `json:"base,omitempty"` // what it was; empty if all is read
	Visited int    `json:"visited"`
	Walk    []byte `json:"walk"`
}

func (p position) base() plumbing.Hash {
	if p.Base == "" {
		return plumbing.ZeroHash
	}
	return plumbing.NewHash(p.Base)
}

func encode(what string, v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return raw, nil
}

func decodePosition(raw []byte) (position, error) {
	var p position
	err := json.Unmarshal(raw, &p)
	if err == nil && p.V != stateVersion {
		err = fmt.Errorf("version %d is unknown", p.V)
	}
	if err != nil {
		return position{}, &sdk.Error{Class: sdk.ClassSystem, Code: "bad_page", Message: "page token: " + err.Error(), Cause: err}
	}
	return p, nil
}
