// Package price turns token counts into money: a book of list prices by model,
// provider, tier, token class and date, all of it in integers.
//
// A rate is held in pico-USD per token (one millionth of a US dollar per million
// tokens is one pico-USD per token), a cost is returned in nano-USD, rounded half
// up once per record. A model that the book does not know has no price: it is
// unpriced, never free, and a name is never matched to another generation of
// the same family.
//
// A Book is immutable and safe for concurrent use.
package price
