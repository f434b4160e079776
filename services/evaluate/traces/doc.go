// Package traces reads public traces of real usage, and injects gaming into them.
//
// No log of what employees ask of language models is public. What is public are logs
// of requests without people, and logs of people who used another metered machine.
// [Read] takes those that it knows from a directory:
//
//   - Standard Workload Format (*.swf), such as NASA iPSC 1993 of the Parallel
//     Workloads Archive: jobs of people. Read are the columns 1 job, 2 submit time,
//     4 run time, 5 processors, 12 user and 13 group, and of the header UnixStartTime
//     and TimeZone.
//   - Azure LLM inference traces (*.csv): TIMESTAMP, ContextTokens and GeneratedTokens
//     of requests, without a user.
//   - Mooncake traces (*.jsonl): timestamp, input_length, output_length and hash_ids of
//     requests, without a user.
//   - ServeGen by client and hour (*.csv): category, model, client, hour, requests,
//     mean_cv, mean_input_tokens and mean_output_tokens. Clients are programs.
//
// Another .swf, .csv or .jsonl file is an [Error], which names file, line and column;
// but for the leaderboard of Aider, which is no usage and is passed over. Files with
// other names are not looked at.
//
// [Set.Bases] combines who and when with how much: each job of a log becomes one
// request, with the tokens of one request of a trace without people. What neither has
// stays unknown: which tactics can be injected, [Base.Lacks] says.
package traces
