//go:build !linux || !(amd64 || arm64)

package sandbox

import "os"

func mayChange(int, int) string { return "there is no sandbox on this system" }

// Unfit knows no program that another user executes here.
func Unfit(*os.File) string { return "there is no sandbox on this system" }

// Passable knows no other users.
func Passable(string) bool { return true }

// Unreadable knows no other users.
func Unreadable([]string) string { return "" }
