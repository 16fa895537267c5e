// node evm.js ganache|hardhat BLOCKS SIZE: signed transfers per second, mined in blocks of SIZE.
const { Wallet } = require("ethers");
async function open(name) {
  if (name === "ganache") {
    const provider = require("ganache").provider({ logging: { quiet: true }, miner: { blockTime: 3600, blockGasLimit: 60000000 }, wallet: { seed: "bench", totalAccounts: 20 } });
    const keys = Object.values(provider.getInitialAccounts()).map((one) => one.secretKey);
    return { provider, keys };
  }
  const hre = require("hardhat");
  const provider = hre.network.provider;
  const { HDNodeWallet, Mnemonic } = require("ethers");
  const phrase = hre.network.config.accounts.mnemonic;
  const root = Mnemonic.fromPhrase(phrase);
  const keys = [...Array(20).keys()].map((i) => HDNodeWallet.fromMnemonic(root, `m/44'/60'/0'/0/${i}`).privateKey);
  return { provider, keys };
}
async function main() {
  const [name, blocks, size] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
  const { provider, keys } = await open(name);
  const wallets = keys.map((key) => new Wallet(key));
  const chainId = Number(await provider.request({ method: "eth_chainId", params: [] }));
  const raws = [];
  for (let n = 0; n < (blocks + 1) * size; n++) {
    const from = n % wallets.length, nonce = Math.floor(n / wallets.length);
    raws.push(await wallets[from].signTransaction({ to: wallets[(from * 7 + 1) % wallets.length].address, value: 1, nonce, gasLimit: 21000, maxFeePerGas: 100000000000n, maxPriorityFeePerGas: 1000000000n, chainId, type: 2 }));
  }
  const rates = [];
  for (let block = 0; block <= blocks; block++) {
    const start = process.hrtime.bigint();
    for (const raw of raws.slice(block * size, (block + 1) * size)) await provider.request({ method: "eth_sendRawTransaction", params: [raw] });
    await provider.request({ method: "evm_mine", params: [] });
    const mined = await provider.request({ method: "eth_getBlockByNumber", params: ["latest", false] });
    if (mined.transactions.length !== size) throw new Error(`${mined.transactions.length} of ${size} mined`);
    if (block) rates.push(size / (Number(process.hrtime.bigint() - start) / 1e9));
  }
  rates.sort((a, b) => a - b);
  console.log(rates[Math.floor(rates.length / 2)].toFixed(0));
  process.exit(0);
}
main().catch((error) => { console.error(String(error).slice(0, 300)); process.exit(1); });
