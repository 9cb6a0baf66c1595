// Package failpoint names the places at which a process may be killed, so that a
// test can try each of them where no tracer can stop it at a system call. Built
// with the tag failpoints, a process whose environment says JACKFIELD_FAILPOINT=N
// kills itself at the Nth place that it comes by; without the tag there is nothing.
package failpoint

// Variable names the place to die at.
const Variable = "JACKFIELD_FAILPOINT"
