//go:build synctests

package schedule

// tagged says that franz-go was built for bubbles: with the tag, who waits for
// one of its mutexes does not keep the clock from moving on.
const tagged = true
