//go:build !synctests

package schedule

const tagged = false
