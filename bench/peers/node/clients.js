// What a payment talks to: clients made once a sandbox, at init; connections and secrets with the first payment, kept after
// it.

import { readFileSync } from "node:fs";

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { createConnection } from "mysql2/promise";

export const dynamodb = new DynamoDBClient({ maxAttempts: 3 });
export const s3 = new S3Client({ maxAttempts: 3, forcePathStyle: true });
const secrets = new SecretsManagerClient({ maxAttempts: 3 });

let hashKeyKnown;
let credentials;
let connection;

async function secret(id) {
  const answer = await secrets.send(new GetSecretValueCommand({ SecretId: id }));
  return answer.SecretString;
}

export async function hashKey() {
  hashKeyKnown ??= Buffer.from(await secret(process.env.HASH_KEY_SECRET_ARN), "hex");
  return hashKeyKnown;
}

async function connect() {
  credentials ??= JSON.parse(await secret(process.env.DB_SECRET_ARN));
  const { host, port, username: user, password, dbname: database } = credentials;
  const ssl = { ca: readFileSync(process.env.CA_BUNDLE) };
  return createConnection({ host, port, user, password, database, ssl, connectTimeout: 3000 });
}

// One connection, made again once if it broke: the same INSERT twice is harmless, its key is unique.
export async function execute(statement, parameters) {
  connection ??= await connect();
  try {
    return await connection.execute(statement, parameters);
  } catch (error) {
    if (!error.fatal) {
      throw error;
    }
    connection = await connect();
    return connection.execute(statement, parameters);
  }
}
