CREATE TABLE `checkpoints` (
	`id` text PRIMARY KEY NOT NULL,
	`run` text NOT NULL,
	`project` text NOT NULL,
	`rev` integer NOT NULL,
	`bytes` integer NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `checkpoints_run` ON `checkpoints` (`project`,`run`,`created_at`);--> statement-breakpoint
CREATE TABLE `comparisons` (
	`a` text NOT NULL,
	`b` text NOT NULL,
	`metric` text NOT NULL,
	`p` real,
	`sd` real,
	`n` integer NOT NULL,
	PRIMARY KEY(`a`, `b`, `metric`)
);
--> statement-breakpoint
CREATE INDEX `comparisons_b` ON `comparisons` (`b`);--> statement-breakpoint
CREATE TABLE `datasets` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`name` text NOT NULL,
	`body` text NOT NULL,
	`splits` text NOT NULL,
	`bytes` integer NOT NULL,
	`request_digest` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `datasets_name` ON `datasets` (`project`,`name`);--> statement-breakpoint
CREATE INDEX `datasets_list` ON `datasets` (`project`,`created_at`);--> statement-breakpoint
CREATE TABLE `evaluations` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`rev` integer NOT NULL,
	`status` text NOT NULL,
	`model` text NOT NULL,
	`dataset` text NOT NULL,
	`board` text NOT NULL,
	`identity` text,
	`metrics` text,
	`body` text NOT NULL,
	`request_digest` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `evaluations_board` ON `evaluations` (`project`,`board`,`status`,`model`,`created_at`);--> statement-breakpoint
CREATE INDEX `evaluations_list` ON `evaluations` (`project`,`created_at`);--> statement-breakpoint
CREATE INDEX `evaluations_identity` ON `evaluations` (`project`,`identity`);--> statement-breakpoint
CREATE TABLE `jobs` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`rev` integer NOT NULL,
	`kind` text NOT NULL,
	`status` text NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `jobs_list` ON `jobs` (`project`,`created_at`);--> statement-breakpoint
CREATE TABLE `keys` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`secret_sha256` text NOT NULL,
	`request_digest` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE INDEX `keys_project` ON `keys` (`project`,`created_at`);--> statement-breakpoint
CREATE TABLE `models` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`name` text NOT NULL,
	`source` text NOT NULL,
	`ref` text NOT NULL,
	`status` text NOT NULL,
	`facts` text,
	`job` text,
	`error` text,
	`request_digest` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `models_name` ON `models` (`project`,`name`);--> statement-breakpoint
CREATE INDEX `models_list` ON `models` (`project`,`created_at`);--> statement-breakpoint
CREATE TABLE `preference_evaluations` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`rev` integer NOT NULL,
	`status` text NOT NULL,
	`student` text NOT NULL,
	`teacher` text NOT NULL,
	`dataset` text NOT NULL,
	`board` text NOT NULL,
	`metrics` text,
	`body` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `preference_evaluations_board` ON `preference_evaluations` (`project`,`board`,`status`,`student`,`teacher`,`created_at`);--> statement-breakpoint
CREATE INDEX `preference_evaluations_list` ON `preference_evaluations` (`project`,`created_at`);--> statement-breakpoint
CREATE TABLE `preference_records` (
	`evaluation` text NOT NULL,
	`item` text NOT NULL,
	`seed` integer NOT NULL,
	`position` integer NOT NULL,
	`prompt` text NOT NULL,
	`chosen` text NOT NULL,
	`rejected` text NOT NULL,
	`margin` real NOT NULL,
	PRIMARY KEY(`evaluation`, `item`, `seed`)
);
--> statement-breakpoint
CREATE INDEX `preference_records_position` ON `preference_records` (`evaluation`,`position`);--> statement-breakpoint
CREATE TABLE `projects` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`pool` text NOT NULL,
	`retention_days` integer,
	`request_digest` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `projects_name_unique` ON `projects` (`name`);--> statement-breakpoint
CREATE TABLE `records` (
	`evaluation` text NOT NULL,
	`item` text NOT NULL,
	`seed` integer NOT NULL,
	`position` integer NOT NULL,
	`prompt` text NOT NULL,
	`references` text NOT NULL,
	`response` text NOT NULL,
	`finish_reason` text,
	`num_tokens` integer,
	`metrics` text NOT NULL,
	PRIMARY KEY(`evaluation`, `item`, `seed`)
);
--> statement-breakpoint
CREATE INDEX `records_position` ON `records` (`evaluation`,`position`);--> statement-breakpoint
CREATE INDEX `records_exact_match` ON `records` (`evaluation`,("metrics" ->> 'exact_match' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_contains` ON `records` (`evaluation`,("metrics" ->> 'contains' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_numeric_match` ON `records` (`evaluation`,("metrics" ->> 'numeric_match' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_regex_match` ON `records` (`evaluation`,("metrics" ->> 'regex_match' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_token_f1` ON `records` (`evaluation`,("metrics" ->> 'token_f1' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_rouge_1` ON `records` (`evaluation`,("metrics" ->> 'rouge_1' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_rouge_2` ON `records` (`evaluation`,("metrics" ->> 'rouge_2' = 100),`position`);--> statement-breakpoint
CREATE INDEX `records_rouge_l` ON `records` (`evaluation`,("metrics" ->> 'rouge_l' = 100),`position`);--> statement-breakpoint
CREATE TABLE `runs` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`rev` integer NOT NULL,
	`status` text NOT NULL,
	`dataset` text NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `runs_list` ON `runs` (`project`,`created_at`);--> statement-breakpoint
CREATE TABLE `steps` (
	`run` text NOT NULL,
	`lineage` integer NOT NULL,
	`step` integer NOT NULL,
	`project` text NOT NULL,
	`rev` integer NOT NULL,
	`body` text NOT NULL,
	PRIMARY KEY(`run`, `lineage`, `step`)
);
--> statement-breakpoint
CREATE TABLE `usage` (
	`project` text NOT NULL,
	`day` text NOT NULL,
	`meter` text NOT NULL,
	`rev` integer NOT NULL,
	`total` integer NOT NULL,
	PRIMARY KEY(`project`, `day`, `meter`)
);
--> statement-breakpoint
CREATE TABLE `exports` (
	`id` text PRIMARY KEY NOT NULL,
	`project` text NOT NULL,
	`checkpoint` text NOT NULL,
	`precision` text NOT NULL,
	`model` text NOT NULL,
	`difference` text NOT NULL,
	`files` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `exports_of` ON `exports` (`project`,`checkpoint`,`precision`);--> statement-breakpoint
CREATE TABLE `logprobs` (
	`project` text NOT NULL,
	`key` text NOT NULL,
	`weights_digest` text NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`project`, `key`)
);
--> statement-breakpoint
CREATE INDEX `logprobs_model` ON `logprobs` (`project`,`weights_digest`);--> statement-breakpoint
CREATE INDEX `logprobs_age` ON `logprobs` (`created_at`);