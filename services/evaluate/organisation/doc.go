// Package organisation simulates a company that uses AI tools, event by event, and
// keeps the truth about it: who worked, who gamed, how and how much. Detectors
// are evaluated on it. Everything follows from a seed and a Config; the committed
// one (config.yaml) has a version and a hash, which belong beside every result, and
// was fixed before any detector was tuned. Whoever tunes detectors leaves it alone.
//
// # What it makes
//
// [New] decides everything that is not an event: people with roles, teams, habits
// and levels, what happens to them, who games how, and a [Plan] for each
// person and week. Plans suffice where weekly tokens and outcomes do, and cost
// milliseconds. [Organisation.Records] then yields normalised events in order of
// event time: drafts that are stamped by the collector's own code, with real
// event ids, request keys, pseudonyms, prices and Kafka keys. Usage comes as
// spans of the GenAI conventions, outcomes as CloudEvents; [Record.AppendSpan] and
// [Record.CloudEvent] encode what a collector turns into the same event, if it
// has [Organisation.PeopleFile], [Organisation.Credentials] and
// [Organisation.TenantKey]. There are no activities, so accepted edits and
// outcomes that clients report stay unknown. About a week of events is in memory
// at a time.
// [Organisation.Truth] adds up exactly the events that were yielded.
//
// Weeks are ISO weeks of the person's local time. Each purpose, person and week
// has its own stream of random numbers, and those of gaming are touched by gamers
// alone: organisations of one seed that differ in who games do the same work.
//
// # What holds of it
//
// Each line is a test. ln weekly tokens spread with sd 1.22 around 32 M between
// people and follow an AR(1), phi .5, within them; sd .5 to 1.8, most people near
// the lower end: with a uniform spread the elasticity would hardly react to gaming,
// unlike what was measured. Outcomes are Poisson with mean lambda (useful/32 M)^.3,
// lambda from Gamma(4) with the role's mean, and come Exp(5 d) after they were begun.
// Context and output of a request are drawn together and almost independent, so
// that ln(context/output) has sd 1.61 (code) and 1.25 (chat) within a week.
// Distinct hours of a week: median 21, p99 about 65, most below 100. One request in
// a hundred repeats prompt and target. The two cheapest rules (tokens above p95, self z
// above 3) are as bad as they are known to be. Adaptive gamers at 8, 20 and 40 %
// lower the within-person elasticity by 15, 31 and 43 %, waste .13, .28 and .45 of the
// tokens since the announcement, and heap up above the target with z 1.6, 4.3 and 8.3.
//
// # Requests
//
// A median week of 32 M tokens is 70 requests here, not the several hundred of a
// real one, so that 1,000 people and 40 weeks are 3.5 million events. An event
// stands for several alike: contexts, outputs and new turns are scaled together
// until the week's tokens are right, which leaves their ratios alone and lets
// contexts exceed what a model could read. RequestsPerWeek is the knob. Below 50 the
// signals that need 50 requests fall silent for half of the people; 400 is lifelike
// and costs five times the time. Light weeks have fewer requests, about in
// proportion; heavy ones have larger requests rather than more.
//
// # Look-alikes
//
// Every class of [Look] is honest, labelled in the plans, and has at least 2 % of the
// people. Besides, some teams have a service that renders a report every hour,
// and one that reviews builds and retries in storms; both report under keys of their
// own. [Organisation.Contexts] lists what the organisation knows of all that, and
// how much of it somebody declared. On two holiday weeks hardly anybody works.
//
// # Gaming
//
// Management announces weekly tokens for each person and weekly use for four fifths
// of each team in Config.AnnouncedWeek; nobody games before. A gamer multiplies
// the tokens of a week by an intensity of 1.2 to 6; what is wasted buys no outcomes.
// Naive gamers have one [Tactic] or two. Surges come at the end of the target's week
// (Friday afternoon or Sunday evening) or at the end of the month, by person.
// [Adaptive] ones paraphrase, keep to their usual hours and at most 95 of them, spread
// the waste over the week with a quarter of the usual shift, fake effects, begin
// slowly, and three in ten stop where the target is reached; in an idle week they
// send one prompt.
//
// # What it is not
//
// No log of real people's use of language models is public. Spreads, hours and
// repeats were measured on other logs; shapes of sessions, effects and habits are
// assumptions, and so is every gamer. Contexts are not a conversation that grows. Time
// zones have no summer time. Whoever does well here has earned a trial, not a proof.
package organisation
