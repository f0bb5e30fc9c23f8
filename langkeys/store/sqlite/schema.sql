-- The tables and indexes of Langflow 1.13 that langkeys needs, as that server makes them: a server
-- of 1.13 adopts a database of this shape and of no other. Compared with a live server's in
-- tests/interop.
CREATE TABLE user (
	id CHAR(32) NOT NULL, 
	username VARCHAR NOT NULL, 
	password VARCHAR NOT NULL, 
	profile_image VARCHAR, 
	is_active BOOLEAN NOT NULL, 
	is_superuser BOOLEAN NOT NULL, 
	create_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	last_login_at DATETIME, 
	retired_at DATETIME, 
	store_api_key VARCHAR, 
	optins JSON, 
	PRIMARY KEY (id), 
	UNIQUE (id)
);
CREATE UNIQUE INDEX ix_user_username ON user (username);
CREATE UNIQUE INDEX ix_user_username_lower ON user (lower(username));
CREATE TABLE "apikey" (
	name VARCHAR, 
	last_used_at DATETIME, 
	total_uses INTEGER NOT NULL, 
	is_active BOOLEAN NOT NULL, 
	expires_at DATETIME, 
	id CHAR(32) NOT NULL, 
	created_at DATETIME DEFAULT (CURRENT_TIMESTAMP) NOT NULL, 
	api_key VARCHAR NOT NULL, 
	api_key_hash VARCHAR, 
	user_id CHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES user (id), 
	UNIQUE (id)
);
CREATE UNIQUE INDEX ix_apikey_api_key ON apikey (api_key);
CREATE INDEX ix_apikey_user_id ON apikey (user_id);
CREATE INDEX ix_apikey_name ON apikey (name);
CREATE INDEX ix_apikey_api_key_hash ON apikey (api_key_hash);
CREATE TABLE variable (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	type VARCHAR, 
	id CHAR(32) NOT NULL, 
	created_at DATETIME DEFAULT CURRENT_TIMESTAMP, 
	updated_at DATETIME, 
	is_environment_managed BOOLEAN, 
	default_fields JSON, 
	user_id CHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(user_id) REFERENCES user (id)
);
