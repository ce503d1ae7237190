// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Test USD: play money for sandboxes and tests
/// @notice Worth nothing, redeemable for nothing: its owner prints it at will. Never list it on a chain that carries value.
/// @dev Six decimals, as the large dollar tokens have: 1 USD cent = 10^4 units.
contract TestUSD is ERC20, Ownable {
    /// @param initialOwner May mint.
    constructor(address initialOwner) ERC20("Test USD", "TUSD") Ownable(initialOwner) {}

    /// @notice Owner: prints `units` to `account`.
    function mint(address account, uint256 units) external onlyOwner {
        _mint(account, units);
    }

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
