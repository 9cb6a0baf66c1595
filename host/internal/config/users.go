package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Users is a range of the numbers that users and groups have, which are plugins' alone.
// The zero value means that plugins run as the daemon's user.
type Users struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// defaultUsers is a range that systemd leaves to others, and that a container has too
// which knows 65,536 of them.
func defaultUsers() Users { return Users{First: 60706, Last: 61183} }

// usersOff is the word for no users.
const usersOff = "off"

// leastUser is above all that belong to the system; mostUsers bounds a range.
const (
	leastUser = 1000
	mostUser  = 1<<31 - 1
	mostUsers = 1 << 20
)

// Off reports whether plugins run as the daemon's user.
func (u Users) Off() bool { return u == Users{} }

// String returns u as a file has it.
func (u Users) String() string {
	if u.Off() {
		return usersOff
	}
	return fmt.Sprintf("%d-%d", u.First, u.Last)
}

// users reads off, or a range such as 60706-61183.
func (o object) users(key string, otherwise Users) Users {
	n, ok := o.scalar(key, "a range", "!!str")
	if !ok {
		return otherwise
	}
	if n.Value == usersOff {
		return Users{}
	}
	first, last, _ := strings.Cut(n.Value, "-")
	var u Users
	var errs [2]error
	u.First, errs[0] = strconv.Atoi(first)
	u.Last, errs[1] = strconv.Atoi(last)
	if errs[0] != nil || errs[1] != nil || u.First < leastUser || u.Last < u.First || u.Last > mostUser || u.Last-u.First >= mostUsers {
		o.src.failAt(CodeBadValue, n, "such as "+defaultUsers().String()+", or off; at least 1000", "%s: %q is no range of users", join(o.path, key), short(n.Value))
		return otherwise
	}
	return u
}
