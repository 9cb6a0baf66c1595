// Command js runs folders of functions in TypeScript or JavaScript as plugins: a
// folder with a plugin.yaml that says "runtime: js" and a function.ts is a plugin of
// its own, in a process of its own. README.md is for who writes one.
//
// Each call has a JavaScript world of its own, made of the one program that the
// folder is: nothing that a call leaves behind is seen by another one. A world has no
// files, no network and no clock of its own but what the call is given.
package main
