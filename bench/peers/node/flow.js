// Claim, ledger and log side by side, completion: four calls in three hops.

import { randomUUID } from "node:crypto";

import { ConditionalCheckFailedException, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { PutObjectCommand } from "@aws-sdk/client-s3";

import { dynamodb, execute, hashKey, s3 } from "./clients.js";
import { EXPONENTS, Refused, read } from "./payment.js";

const { ENVIRONMENT, COLOR, SESSION_TABLE: TABLE, TRANSACTION_BUCKET: BUCKET } = process.env;
const LEASE_MS = 15_000;
const KEPT_SECONDS = 30 * 86_400;

const INSERT = `
INSERT INTO payments (scope, idempotency_key, transaction_id, fingerprint, status, user_id, merchant_id, amount, currency,
    exponent, card_brand, card_last4, paid_with_hash, environment, color, created_at)
SELECT ?, ?, ?, ?, 'completed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
FROM cutover_epoch WHERE color = ? AND may_write LOCK IN SHARE MODE`;

const CLAIMED = [
  "status", "owner", "leaseUntil", "scope", "transactionId", "userId", "amount", "currency", "fingerprint", "paidWithHash",
  "environment", "color", "createdAt", "expiresAt", "cardBrand", "cardLast4",
];
const SET_CLAIM = `SET ${CLAIMED.map((name) => `#${name} = :${name}`).join(", ")}`;
const NAMES_CLAIM = Object.fromEntries(CLAIMED.map((name) => [`#${name}`, name]));

export async function handler(event) {
  let payment;
  try {
    payment = read(event, await hashKey());
  } catch (error) {
    if (error instanceof Refused) {
      return answer(400, { title: error.message });
    }
    throw error;
  }
  const owner = randomUUID();
  if (!(await claim(payment, owner))) {
    return answer(409, { title: "There is such a payment already." });
  }
  const [[written]] = await Promise.all([execute(INSERT, row(payment)), log(payment)]);
  if (written.affectedRows !== 1) {
    return answer(503, { title: "This color may not write." });
  }
  const { transactionId, amount, currency, createdAt, card } = payment;
  const receipt = {
    transactionId,
    status: "completed",
    amount,
    currency,
    exponent: EXPONENTS[currency],
    environment: ENVIRONMENT,
    color: COLOR,
    createdAt,
    card,
  };
  await complete(payment, owner, receipt);
  return answer(201, receipt);
}

async function claim(payment, owner) {
  const now = Date.now();
  const claiming = new UpdateItemCommand({
    TableName: TABLE,
    Key: { sessionId: { S: payment.sessionId } },
    UpdateExpression: SET_CLAIM,
    ConditionExpression: "attribute_not_exists(#status)",
    ExpressionAttributeNames: NAMES_CLAIM,
    ExpressionAttributeValues: {
      ":status": { S: "processing" },
      ":owner": { S: owner },
      ":leaseUntil": { N: String(now + LEASE_MS) },
      ":scope": { S: payment.scope },
      ":transactionId": { S: payment.transactionId },
      ":userId": { S: payment.userId },
      ":amount": { N: String(payment.amount) },
      ":currency": { S: payment.currency },
      ":fingerprint": { S: payment.fingerprint.toString("hex") },
      ":paidWithHash": { S: payment.paidWithHash.toString("hex") },
      ":environment": { S: ENVIRONMENT },
      ":color": { S: COLOR },
      ":createdAt": { S: payment.createdAt },
      ":expiresAt": { N: String(Math.floor(now / 1000) + KEPT_SECONDS) },
      ":cardBrand": { S: payment.card.brand },
      ":cardLast4": { S: payment.card.last4 },
    },
  });
  try {
    await dynamodb.send(claiming);
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return false;
    }
    throw error;
  }
}

function log(payment) {
  const { transactionId, createdAt, amount, currency, scope, userId, merchantId, card, description, metadata } = payment;
  const content = {
    transactionId,
    timestamp: createdAt,
    status: "completed",
    amount,
    currency,
    environment: ENVIRONMENT,
    scope,
    userId,
    merchantId,
    card,
    description,
    metadata,
  };
  const put = new PutObjectCommand({
    Bucket: BUCKET,
    Key: payment.logKey,
    IfNoneMatch: "*",
    ContentType: "application/json",
    Body: JSON.stringify(content),
  });
  return s3.send(put);
}

function complete(payment, owner, receipt) {
  const completing = new UpdateItemCommand({
    TableName: TABLE,
    Key: { sessionId: { S: payment.sessionId } },
    UpdateExpression: "SET #status = :completed, #body = :body REMOVE #lease",
    ConditionExpression: "#owner = :owner AND #status = :processing",
    ExpressionAttributeNames: { "#status": "status", "#body": "responseBody", "#lease": "leaseUntil", "#owner": "owner" },
    ExpressionAttributeValues: {
      ":completed": { S: "completed" },
      ":processing": { S: "processing" },
      ":owner": { S: owner },
      ":body": { S: JSON.stringify(receipt) },
    },
  });
  return dynamodb.send(completing);
}

function row(payment) {
  return [
    payment.scope,
    payment.transactionId,
    payment.transactionId,
    payment.fingerprint,
    payment.userId,
    payment.merchantId ?? null,
    payment.amount,
    payment.currency,
    EXPONENTS[payment.currency],
    payment.card.brand,
    payment.card.last4,
    payment.paidWithHash,
    ENVIRONMENT,
    COLOR,
    payment.createdAt.replace("T", " ").replace("Z", ""),
    COLOR,
  ];
}

function answer(statusCode, body) {
  return {
    statusCode,
    headers: { "content-type": "application/json", "cache-control": "no-store" },
    body: JSON.stringify(body),
    isBase64Encoded: false,
  };
}
