module.exports = { solidity: "0.8.24", networks: { hardhat: { mining: { auto: false, interval: 0 }, blockGasLimit: 60000000, accounts: { count: 20 } } } };
